"""What runs have written, in a form that `==` compares bit by bit."""

import torch

from tensors import as_bytes
from unmix.experiments import status


def results(out):
    """By run folder: weights, optimiser, schedule, early stopping and metrics.csv, and the state of the run."""
    contents = {}
    for run in sorted(out.glob("runs/*/*-s42")):
        checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        states = [checkpoint[name] for name in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks")]
        contents[run.relative_to(out)] = (as_bytes(states), (run / "metrics.csv").read_bytes(), status.read(run).state)
    return contents
