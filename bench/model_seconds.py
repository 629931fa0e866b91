"""Parameters, time and memory of separation, for the models of the recipes: `make bench-model_seconds`.

One row for each distinct model among conf/experiment/*.yaml with four targets, without the small ones that train on
`data=demo`, and one for Mel-band RoFormer, which has no recipe. Each is measured in a process of its own: random
weights, four stems of the same noise, with the settings that separate.py has by default, on the CPU. Arguments are
overrides that select a single model.
"""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

THREADS, SECONDS, RATE = 2, 30, 44100
TARGETS = ("vocals", "drums", "bass", "other")
CONF = Path(__file__).parents[1] / "conf"
WITHOUT_RECIPE = {"`model=mel_band_roformer`": ["experiment=bs_roformer", "model=mel_band_roformer"]}


def models() -> dict[str, list[str]]:
    """Overrides that select each distinct model of the recipes, by the names of these."""
    from unmix.composition import compose
    from unmix.identity import value_of

    names: dict[str, list[str]] = {}
    for path in sorted((CONF / "experiment").glob("*.yaml")):
        cfg = compose("train", [f"experiment={path.stem}", "data.validation_tracks=[a]"])
        if cfg.data.name != "demo" and tuple(cfg.data.sources) == TARGETS:
            model = {name: value for name, value in value_of(cfg, "model").items() if name != "targets"}
            names.setdefault(repr(model), []).append(path.stem)
    recipes = {", ".join(f"`{name}`" for name in group): [f"experiment={group[0]}"] for group in names.values()}
    return recipes | WITHOUT_RECIPE


def measure(overrides: Sequence[str]) -> None:
    """Separate noise with the selected model; print millions of parameters, CPU seconds, seconds and peak in MB."""
    import torch

    from unmix.composition import compose
    from unmix.data.memory import keep_freed_memory
    from unmix.models.joined import join
    from unmix.runs.build import make
    from unmix.runs.inspection import num_parameters

    keep_freed_memory()
    torch.manual_seed(0)
    targets = [[target] for target in TARGETS]
    cfg = compose("train", [*overrides, "data.validation_tracks=[a]"])
    if cfg.target == "all":
        targets = [list(TARGETS)]
    cfgs = [compose("train", [*overrides, f"target=[{','.join(group)}]"]) for group in targets]
    built = [make(cfg.model, "model").eval() for cfg in cfgs]
    separator = join(built, targets=list(TARGETS)).eval()
    noise = 0.1 * torch.randn(2, SECONDS * RATE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for samples in (RATE, SECONDS * RATE):  # the first is not timed
            cpu, started = time.process_time(), time.perf_counter()
            for _block in separator.stream(lambda start, stop: noise[:, start:stop], samples):
                pass
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(sum(map(num_parameters, built)) / 1e6, cpu / SECONDS, seconds / SECONDS, int(peak[1]) / 1e3 if peak else 0)


def main() -> None:
    """Print the table."""
    import torch

    from unmix import machine

    print(f"machine: {platform.machine()}, {machine.num_cpus()} CPUs, {THREADS} threads, torch {torch.__version__}; ")
    print(f"four stems of {SECONDS} s of stereo noise, one run\n")
    print(
        "| model | parameters | CPU seconds per second of audio | seconds per second of audio | peak of the process |"
    )
    print("|---|---|---|---|---|")
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), machine.SPIN_COUNT: str(machine.SHORT_SPIN)}
    for name, overrides in models().items():
        command = [sys.executable, __file__, *overrides]
        printed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
        millions, cpu, seconds, peak = map(float, printed.splitlines()[-1].split())
        print(f"| {name} | {millions:.1f} M | {cpu:.2f} | {seconds:.2f} | {peak:.0f} MB |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1:])
    else:
        main()
