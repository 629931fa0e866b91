"""Layouts: the ways in which a data set is arranged on disk, one class each, listed in `detection.LAYOUTS`."""
