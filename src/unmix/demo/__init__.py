"""Synthetic music to train on without a download: songs, the instruments that play them, and a data set of both."""
