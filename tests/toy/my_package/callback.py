"""A callback of the user's own."""

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer


class NoteSteps(Callback):
    """Writes the number of training steps to a file when training ends."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file."""
        self.path.write_text(str(trainer.global_step))
