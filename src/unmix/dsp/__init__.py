"""Signal processing on complex tensors: no configuration, no files."""
