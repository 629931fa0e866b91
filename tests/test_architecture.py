"""The shape of the house: imports point one way, and no file, function or constructor outgrows its budget."""

import ast
import re
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
FILES = sorted(SOURCE.rglob("*.py"))

# What each room may import of the project.
MAY_IMPORT = {
    "annotations": set(),
    "bare_words": set(),
    "checks": set(),
    "console": set(),
    "errors": set(),
    "extras": set(),
    "files": set(),
    "machine": set(),
    "plugins": set(),
    "time_left": set(),
    "next_steps": set(),
    "bases": set(),
    "distinct": set(),
    "interpolations": set(),
    "identity": {"interpolations"},
    "early_checks": {
        "augmentation_settings",
        "data",
        "evaluation",
        "experiments",
        "finished",
        "identity",
        "runs",
        "settings",
        "weights",
    },
    "dsp": {"dsp"},
    "models": {"models", "dsp"},
    "weights": {"weights", "models", "dsp", "plugins"},
    "demo": {"demo", "data", "extras"},
    "data": {"data", "dsp", "augmentation_settings"},
    "processes": {"processes"},
    "cluster": {"cluster", "experiments", "extras", "processes"},
    "experiments": {"experiments", "processes"},
    "training": {"training", "weights", "models", "dsp", "data", "experiments", "processes"},
    "evaluation": {"evaluation", "models", "dsp", "data", "experiments", "processes"},
    "reports": {"reports", "cluster", "search", "evaluation", "experiments", "processes", "data", "dsp"},
    "augmentation_settings": {"checks"},
    "trainer_checks": {"checks"},
    "settings": {"checks", "augmentation_settings", "trainer_checks"},
    "torchrun": {"processes", "runs"},
    "config_checks": {"checks", "settings"},
    "schema": {"identity"},
    "composition": {
        "annotations",
        "bases",
        "config_checks",
        "distinct",
        "identity",
        "interpolations",
        "schema",
        "plugins",
    },
    "survey": {"data", "experiments"},
    "run_loggers": set(),
    "plans": {"identity", "evaluation", "reports", "experiments", "run_loggers", "survey"},
    "trained": {"plans"},
    "search": {"search", "experiments"},
    "studies": {"composition", "identity", "search"},
    "finished": {"data", "evaluation", "reports", "experiments", "weights"},
    "quoting": {"composition"},
    "usage": {"composition"},
    "hints": {"composition", "usage"},
    "completion": {"config_checks", "hints", "identity", "settings", "usage"},
    "editor": {
        "annotations",
        "augmentation_settings",
        "cluster",
        "composition",
        "config_checks",
        "editor",
        "plugins",
        "schema",
        "search",
        "trainer_checks",
        "usage",
    },
    "completion_scripts": set(),
    "left_to_hydra": {"completion", "completion_scripts", "composition", "hints", "usage"},
    "config": {
        "bare_words",
        "composition",
        "console",
        "early_checks",
        "distinct",
        "hints",
        "usage",
        "extras",
        "finished",
        "identity",
        "left_to_hydra",
        "machine",
        "plans",
        "quoting",
        "run_loggers",
        "trained",
        "experiments",
        "processes",
        "runs",
        "torchrun",
    },
    "runs": {
        "composition",
        "distinct",
        "finished",
        "identity",
        "plans",
        "plugins",
        "run_loggers",
        "search",
        "studies",
        "training",
        "reports",
        "evaluation",
        "weights",
        "models",
        "dsp",
        "data",
        "demo",
        "cluster",
        "experiments",
        "extras",
        "processes",
        "runs",
        "torchrun",
        "trained",
    },
    "__init__": set(),
    "train": {"config"},
    "evaluate": {"config"},
    "listen": {"config"},
    "separate": {"config"},
    "check": {"config"},
    "prepare": {"config"},
    "ratings": {"config"},
    "leaderboard": {"config"},
    "report": {"config"},
    "dashboard": {"config"},
    "export": {"config"},
    "hydra_plugins": {"cluster", "plans", "processes", "runs"},
}
LIGHTNING = {
    "data/datamodule.py",
    "training/",
    "evaluation/callback.py",
    "evaluation/separation.py",
    "evaluation/in_training.py",
    "reports/listening.py",
    "runs/",
}
HYDRA = {
    "early_checks.py",
    "extras.py",
    "schema.py",
    "bases.py",
    "interpolations.py",
    "editor/schemas.py",
    "composition.py",
    "config.py",
    "left_to_hydra.py",
    "finished.py",
    "hints.py",
    "completion.py",
    "usage.py",
    "identity.py",
    "plans.py",
    "run_loggers.py",
    "search/space.py",
    "studies.py",
    "runs/",
    "hydra_plugins/",
}
HEAVY_OUTSIDE = ("pandas", "matplotlib")


def room(path: Path) -> str:
    """`unmix/dsp/stft.py` -> `dsp`, `unmix/config.py` -> `config`, `train.py` -> `train`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[1] if parts[0] == "unmix" else parts[0]


def imports(path: Path) -> set[str]:
    """Every module a file imports, at any depth of nesting."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_in(path: Path, places: set[str]) -> bool:
    relative = path.relative_to(SOURCE).as_posix().removeprefix("unmix/")
    return any(relative == place or (place.endswith("/") and relative.startswith(place)) for place in places)


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_one_way(path):
    own = {name.split(".")[1] for name in imports(path) if name.startswith("unmix.")}
    assert own <= MAY_IMPORT[room(path)] | {"checks", "errors", "files", "settings", "time_left", "next_steps"}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_frameworks_stay_at_the_rim(path):
    if not is_in(path, LIGHTNING):
        assert not packages(path) & {"pytorch_lightning", "lightning_fabric", "lightning"}
    if not is_in(path, HYDRA) and room(path) != "train":
        assert not packages(path) & {"hydra", "omegaconf"}
    if room(path) in ("dsp", "models"):
        assert not packages(path) & set(HEAVY_OUTSIDE)
    if room(path) == "experiments":
        assert not packages(path) & {"torch", *HEAVY_OUTSIDE}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_and_functions_stay_within_their_budgets(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert lines_of_code(node) <= 40, f"{node.name} has {lines_of_code(node)} lines"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_constructors_take_few_arguments(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            limit = {"SeparationDataModule": 28, "UMX": 11, "XUMX": 11}.get(node.name, 10)  # all keys of a YAML
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    count = len(method.args.args) + len(method.args.kwonlyargs) - 1
                    assert count <= limit, f"{node.name} takes {count}"


@pytest.mark.parametrize("path", [path for path in FILES if path.parent == SOURCE], ids=str)
def test_entry_points_hold_no_logic(path):
    assert len(path.read_text().splitlines()) <= 25


def test_only_one_file_calls_the_short_time_fourier_transform():
    callers = {path.name for path in FILES if {"stft", "istft"} & attributes(path)}
    assert callers == {"stft.py"}


def test_no_file_outside_models_and_weights_names_a_model_but_open_unmix():
    yamls = [path.read_text() for path in (SOURCE.parent / "conf" / "model").glob("*.yaml")]
    targets = [name for text in yamls for name in re.findall(r"^_target_: (unmix\.\S+)", text, flags=re.MULTILINE)]
    modules = {target.rpartition(".")[0] for target in targets} - {"unmix.models.open_unmix", "unmix.models.x_umx"}
    assert len(modules) >= 2
    for path in (path for path in FILES if room(path) not in ("models", "weights")):
        assert not [module for module in modules if module in path.read_text()], path


def test_processes_need_only_the_standard_library():
    for path in (path for path in FILES if room(path) == "processes"):
        engine_of = {"ray"} if path.name == "ray_tasks.py" else set()
        assert packages(path) <= {*sys.stdlib_module_names, "unmix", *engine_of}


def attributes(path: Path) -> set[str]:
    """Names `torch.<name>` that a file calls."""
    return {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "torch"
    }


def lines_of_code(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From `def` to the end, less the docstring."""
    first = node.body[0]
    docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) is not None else 0
    return node.end_lineno - node.lineno + 1 - docstring
