"""What people look at: tables, figures, pages, the leaderboard, clips to listen to."""
