"""Signal processing on tensors; reads no configuration and no files."""
