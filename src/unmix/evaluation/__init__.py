"""Scores of a separator over whole tracks."""
