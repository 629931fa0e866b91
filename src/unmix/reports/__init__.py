"""Output for people: tables, figures, pages, the leaderboard, audio clips."""
