"""The LightningModule, its trainer and callbacks."""
