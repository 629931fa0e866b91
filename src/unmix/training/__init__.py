"""Training: the LightningModule, objectives, the Trainer, callbacks, checkpoints and loggers."""
