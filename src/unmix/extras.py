"""Optional packages: which settings need one, and how to install it."""

from collections.abc import Iterator
from importlib.util import find_spec

from omegaconf import DictConfig, OmegaConf

_METRICS, _LOGGERS = "unmix.evaluation.perceptual", "unmix.training.loggers"
# (setting as the user writes it, key and value that it sets, package that it needs, extra that installs it).
SETTINGS = (
    ("evaluation.engine=museval", "evaluation.engine", "museval", "museval", "museval"),
    ("separator.wiener=norbert", "separator.wiener", "norbert", "norbert", "norbert"),
    ("format=webmushra", "format", "webmushra", "pyloudnorm", "pyloudnorm"),
    ("format=wandb", "format", "wandb", "wandb_workspaces", "dashboard"),
    ("metrics=log_wmse", "metrics.log_wmse._target_", f"{_METRICS}.LogWmse", "torch_log_wmse", "metrics"),
    ("logger=tensorboard", "logger.tensorboard._target_", f"{_LOGGERS}.TensorBoardRun", "tensorboard", "tensorboard"),
)
COMMANDS = {"dashboard": ("wandb_workspaces", "dashboard")}


def check(command: str, cfg: DictConfig) -> None:
    """Check that the optional packages that a command needs are installed.

    Args:
        command: name of the command, such as `train`.
        cfg: its configuration.
    Raises:
        ValueError: naming the setting and the extra that installs the package.
    """
    for setting, package, extra in _needed(command, cfg):
        require(setting, package, extra)


def require(setting: str, package: str, extra: str) -> None:
    """Check that the optional package of a setting is installed; raises as `check`."""
    if find_spec(package) is None:
        raise ValueError(
            f"{setting}: needs the package {package}, which is not installed: pip install 'unmix[{extra}]'"
        )


def _needed(command: str, cfg: DictConfig) -> Iterator[tuple[str, str, str]]:
    """Yield every setting that needs an optional package, as (setting, package, extra)."""
    if command in COMMANDS:
        package, extra = COMMANDS[command]
        yield f"{command}.py", package, extra
    for setting, key, value, package, extra in SETTINGS:
        if OmegaConf.select(cfg, key) == value:
            yield setting, package, extra
