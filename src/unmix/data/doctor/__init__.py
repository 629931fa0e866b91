"""The doctor of data sets: finds and names what is wrong with recordings, with position and remedy."""
