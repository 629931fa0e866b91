"""Run folders on disk: their status, and which process holds them. Imports no torch."""
