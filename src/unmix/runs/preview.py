"""dry_run=true: prints what every job would do, without starting any."""

from collections.abc import Sequence

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from unmix.errors import counted
from unmix.plans import plan_all, print_evaluations, warn_of_no_test
from unmix.runs.build import trainer_arguments
from unmix.runs.inspection import count_parameters
from unmix.training.trainer import num_processes


def show(cfgs: Sequence[DictConfig]) -> None:
    """Print one line per job: folder, number of parameters, batch size, devices and state; then what is warned of."""
    plans = plan_all(cfgs)
    table = Table(title=f"{counted(len(plans), 'job')}, none started (dry_run=true)", title_justify="left")
    for name in ("run", "parameters", "batch", "devices", "state"):
        table.add_column(name, overflow="fold", justify="right" if name in ("parameters", "batch") else "left")
    for one in plans:
        arguments = trainer_arguments(one.cfg)
        devices = f"{num_processes(arguments)} x {arguments['accelerator']}"
        state = str(one).removeprefix(f"{one.run}: ")
        table.add_row(str(one.run), f"{count_parameters(one.cfg):,}", str(one.cfg.data.batch_size), devices, state)
    Console().print(table)
    print_evaluations(plans)
    warn_of_no_test(plans)
