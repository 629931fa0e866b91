"""Augmentations of training samples: those that change what is read, those of waveforms, and their registry."""
