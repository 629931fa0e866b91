"""Child processes and signals; needs only the standard library."""
