"""Composition of many configurations: Hydra composes each choice of groups once, values are applied to copies of it.

Composing takes Hydra a tenth of a second. The jobs of a sweep mostly choose the same files and differ in values, which
Hydra's own function applies to a copy. What that cannot do is left to Hydra, which also raises the errors.
"""

import pickle
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

MOST_BASES = 256  # of about 20 KB each
Stamps = tuple[tuple[str, int, int], ...]


class Bases:
    """Configurations of a command by the files that are chosen, as these files were when they were first read.

    Args:
        config_name: name of a file of the first folder.
        folder: folder of configurations.
        added: further folder of configurations, by the user.
    """

    def __init__(self, config_name: str, folder: Path, added: Path | None = None) -> None:
        self.config_name, self.folder, self.added = config_name, folder, added
        self._pickled: dict[tuple[str, ...], bytes | None] = {}

    def compose(self, overrides: Sequence[str], *, with_hydra: bool) -> DictConfig:
        """Compose a configuration: returns and raises what Hydra does.

        Args:
            overrides: overrides without sweeps.
            with_hydra: whether to keep Hydra's own node.
        """
        parsed = [_parsed(override) for override in overrides]
        if any(override.is_sweep_override() or override.key_or_group == "hydra.searchpath" for override in parsed):
            return self._by_hydra(overrides, with_hydra=with_hydra)
        values = [override for override in parsed if not self._chooses(override)]
        choices = [str(override.input_line) for override in parsed if not any(override is value for value in values)]
        key = (str(with_hydra), *choices)
        if key not in self._pickled:  # a single job gains nothing from a base
            if len(self._pickled) >= MOST_BASES:
                self._pickled.clear()
            self._pickled[key] = None
            return self._by_hydra(overrides, with_hydra=with_hydra)
        pickled = self._pickled[key]
        if pickled is None:
            pickled = self._pickled[key] = pickle.dumps(self._by_hydra(choices, with_hydra=with_hydra))
        cfg: DictConfig = pickle.loads(pickled)  # twice as fast as a deep copy
        try:
            ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
        except (HydraException, OmegaConfBaseException):  # Hydra raises it again, as if there were no base
            return self._by_hydra(overrides, with_hydra=with_hydra)
        if with_hydra:
            _record(cfg, parsed)
        return cfg

    def _chooses(self, override: Override) -> bool:
        """Whether an override decides which files are read, or belongs to Hydra's own node."""
        key = override.key_or_group
        if override.is_hydra_override() or key == "hydra":
            return True
        folders = [self.folder, *([] if self.added is None else [self.added])]
        is_group = any((folder / key).is_dir() for folder in folders)
        is_group = is_group or ConfigStore.instance().get_type(key) == ObjectType.GROUP
        return is_group and not isinstance(override.value(), dict)

    def _by_hydra(self, overrides: Sequence[str], *, with_hydra: bool) -> DictConfig:
        """Compose as Hydra does, also within `hydra.main`."""
        search_path = [] if self.added is None else [f"hydra.searchpath=['file://{self.added}']"]
        current = GlobalHydra.instance().hydra  # a launcher composes within hydra.main
        GlobalHydra.instance().hydra = None
        try:
            with warnings.catch_warnings(), hydra.initialize_config_dir(str(self.folder), version_base="1.3"):
                warnings.simplefilter("ignore")  # about our files, which the user cannot change
                return hydra.compose(self.config_name, [*search_path, *overrides], return_hydra_config=with_hydra)
        finally:
            GlobalHydra.instance().hydra = current


@lru_cache(maxsize=4096)
def _parsed(override: str) -> Override:
    (parsed,) = OverridesParser.create().parse_overrides([override])
    return parsed


def _record(cfg: DictConfig, overrides: Sequence[Override]) -> None:
    """Note the overrides of values in Hydra's own node, as Hydra does after it has applied them."""
    job = cfg.hydra.job
    own = [override for override in overrides if not override.is_hydra_override()]
    with open_dict(cfg.hydra):
        cfg.hydra.runtime.cwd = str(Path.cwd())
        cfg.hydra.overrides.task = [str(override.input_line) for override in own]
        job.override_dirname = get_overrides_dirname(
            overrides=own,
            kv_sep=job.config.override_dirname.kv_sep,
            item_sep=job.config.override_dirname.item_sep,
            exclude_keys=job.config.override_dirname.exclude_keys,
        )


def stamps(folder: Path) -> Stamps:
    """List the files of a folder of configurations with their dates, in ns, and sizes."""
    paths = sorted(folder.rglob("*.yaml"))
    return tuple((str(path), (stat := path.stat()).st_mtime_ns, stat.st_size) for path in paths)


_shared: dict[str, tuple[Stamps, Bases]] = {}


def shared(config_name: str, folder: Path) -> Bases:
    """Return the bases of this process for a command; new ones after a file of the folder has changed."""
    now = stamps(folder)
    if config_name not in _shared or _shared[config_name][0] != now:
        _shared[config_name] = (now, Bases(config_name, folder))
    return _shared[config_name][1]
