"""What is left to Hydra: its own flags, and sweepers and launchers of other packages."""

import argparse
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import hydra
from omegaconf import DictConfig

from unmix import completion, completion_scripts, hints, usage
from unmix.completion_scripts import SEPARATORS
from unmix.composition import CONF, check_values


def answer(config_name: str, arguments: argparse.Namespace) -> None:
    """Print what a flag asks for: help, a completion, the configuration."""
    if arguments.help:
        print(usage.help_text(config_name, arguments.overrides, arguments.config_dir))  # noqa: T201
        return
    if arguments.shell_completion and len(arguments.overrides) == 1:
        (asked,) = arguments.overrides
        if asked in completion_scripts.SCRIPTS:
            print(completion_scripts.SCRIPTS[asked], end="")  # noqa: T201
            return
        line = os.environ.get("COMP_LINE", "")
        os.environ["COMP_LINE"] = re.sub(r"^.*?\.py\s", "python run.py ", line)  # Hydra misreads most other paths
        words = completion.words(config_name, line) if asked in SEPARATORS else None
        if words is not None:
            print(SEPARATORS[asked].join(words))  # noqa: T201
            return
    through_hydra(config_name, lambda _: None)


def through_hydra(config_name: str, task: Callable[[DictConfig], Any]) -> int:
    """Pass the command line to `hydra.main`, for help and for sweepers and launchers other than ours; return 0.

    Args:
        config_name: name of the command.
        task: function that Hydra calls with the configuration of each job.
    """
    overrides = hints.arguments_of().overrides  # which Hydra wants after the flags
    sys.argv[1:] = [*(word for word in sys.argv[1:] if word not in overrides), *overrides]

    def run(cfg: DictConfig) -> Any:  # Hydra needs a function with a name
        check_values(config_name, cfg)
        return task(cfg)

    hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(run)()
    return 0
