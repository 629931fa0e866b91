"""Separation and scoring of whole tracks, and published scores to compare with."""
