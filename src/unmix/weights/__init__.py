"""Reading and writing trained weights: our checkpoints, Open-Unmix's files, safetensors, W&B's artifacts."""
