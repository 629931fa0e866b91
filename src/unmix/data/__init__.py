"""Data sets: finding, checking and reading tracks, and drawing training samples from them."""
