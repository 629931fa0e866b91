"""Where experiments live on disk; standard library only."""
