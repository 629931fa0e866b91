"""Where stems come from: found, opened, drawn, mixed."""
