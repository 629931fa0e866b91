"""Reading and writing of trained weights: our checkpoints, Open-Unmix's files, safetensors, W&B artifacts."""
