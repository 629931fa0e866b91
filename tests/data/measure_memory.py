"""Memory of a loader and its workers in bytes, shared pages counted once. Arguments: <tree> <storage> <workers>."""

import itertools
import sys

import psutil

from unmix.data.datamodule import SeparationDataModule

if __name__ == "__main__":
    root, storage, workers = sys.argv[1:]
    module = SeparationDataModule(
        root, name="m", storage=storage, num_workers=int(workers), segment_seconds=0.1, batch_size=4
    )
    loader = iter(module.train_dataloader())
    for _ in itertools.islice(loader, 8):
        pass
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    print(sum(process.memory_full_info().pss for process in processes))
