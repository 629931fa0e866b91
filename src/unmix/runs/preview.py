"""dry_run=true: prints what every job would do, without starting any."""

from collections.abc import Sequence

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from unmix.distinct import Distinct
from unmix.errors import counted
from unmix.identity import value_of
from unmix.plans import plan_all, print_evaluations, warn_of_no_test
from unmix.runs.build import trainer_arguments
from unmix.runs.inspection import count_parameters
from unmix.runs.preflight import ANY_NUMBER, shared_datamodule
from unmix.training.trainer import num_processes


def show(cfgs: Sequence[DictConfig], *, is_elsewhere: bool = False) -> None:
    """Print a line per job: folder, parameters, batch size, devices and state; then what is to fetch, and warnings.

    Args:
        cfgs: configurations of the jobs.
        is_elsewhere: whether another machine runs them, with devices and data that this one may lack.
    """
    plans, distinct = plan_all(cfgs), Distinct()
    table = Table(title=f"{counted(len(plans), 'job')}, none started (dry_run=true)", title_justify="left")
    for name in ("run", "parameters", "batch", "devices", "state"):
        table.add_column(name, overflow="fold", justify="right" if name in ("parameters", "batch") else "left")
    for one in plans:
        arguments = trainer_arguments(one.cfg, ANY_NUMBER if is_elsewhere else None)
        devices = f"{num_processes(arguments)} x {arguments['accelerator']}"
        state = str(one).removeprefix(f"{one.run}: ")
        table.add_row(
            str(one.run), f"{count_parameters(one.cfg, distinct):,}", str(one.cfg.data.batch_size), devices, state
        )
    Console().print(table)
    local = [] if is_elsewhere else cfgs
    libraries = [shared_datamodule(cfg, value_of(cfg, "data"), distinct).library for cfg in local]
    for root, archive in {library.root: library.to_fetch for library in libraries if library.to_fetch}.items():
        Console(soft_wrap=True, highlight=False).print(f"to fetch first, to {root}: {archive}", markup=False)
    print_evaluations(plans)
    warn_of_no_test(plans)
