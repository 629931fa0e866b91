"""Allow-list of packages whose classes a configuration or checkpoint may name: ours, libraries, the user's plugins."""

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TRUSTED = ("unmix", "hydra_plugins", "hydra", "torch", "pytorch_lightning", "torchmetrics", "torchaudio")


def check(plugins: Iterable[str] | None) -> tuple[str, ...]:
    """Check that plugins can be imported, also from the working directory, as with `python -m`.

    Args:
        plugins: names of importable packages.
    Returns:
        The same names.
    Raises:
        ValueError: when a name is not the name of a package, or the package is not found.
    """
    names = [plugins] if isinstance(plugins, str) else list(plugins or ())
    for name in names:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"plugins: got {name!r}, names of packages are needed, as plugins=[my_package]")
        spec = _find(name)
        if spec is None:
            raise ValueError(
                f"plugins: there is no package {name!r} in the working directory, on PYTHONPATH or installed"
            )
        if spec.submodule_search_locations is None:
            raise ValueError(f"plugins: {name!r} is a module, not a package: move it into a folder of that name")
    return tuple(names)


def _find(name: str) -> Any:
    try:
        if (spec := find_spec(name)) is None and str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
            spec = find_spec(name)
    except (ImportError, ValueError) as error:
        raise ValueError(f"plugins: {name!r} cannot be imported: {error}") from error
    return spec


def is_allowed(target: str, plugins: Sequence[str]) -> bool:
    """Whether a class may be imported when a file names it, by its dotted name."""
    return any(target.startswith(f"{package}.") for package in (*TRUSTED, *plugins))


def is_plugin(target: object) -> bool:
    """Whether a class, by its dotted name, belongs to a user's package, not to one of `TRUSTED`."""
    return str(target).partition(".")[0] not in TRUSTED


def locate(target: object, name: str, plugins: Sequence[str]) -> Any:
    """Import the class or function that a `_target_` names.

    Args:
        target: dotted name of a class or function.
        name: key or file that contains the `_target_`, for messages.
        plugins: the user's packages, allowed beside `TRUSTED`.
    Raises:
        ValueError: when its package is not allowed, or contains nothing of that name.
    """
    text = str(target)
    package = text.partition(".")[0]
    if not is_allowed(text, plugins):
        raise ValueError(
            f"{name}: got the class {text!r}, allowed are those of {', '.join(TRUSTED[:1] + tuple(plugins))} and of "
            f"the libraries in use; if you trust the package, add 'plugins=[{package}]'"
        )
    module, _, attribute = text.rpartition(".")
    try:
        return _attribute(module, attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name}: there is no {text!r} ({error})") from error


def check_classes(node: Any, name: str, plugins: Sequence[str]) -> None:
    """Check that all classes that a node names may be imported, and are there.

    Args:
        node: of a configuration, in plain containers.
        name, plugins: as for `locate`.
    Raises:
        ValueError: as `locate`.
    """
    if isinstance(node, dict):
        if "_target_" in node:
            locate(node["_target_"], name, plugins)
        for child in node.values():
            check_classes(child, name, plugins)


def _attribute(module: str, attribute: str) -> Any:
    """Import an attribute of a module, or of a class in a module, such as `package.module.Class.make`."""
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        owner, _, name = module.rpartition(".")
        if error.name != module or not owner:
            raise
        return getattr(getattr(import_module(owner), name), attribute)
