"""JSON Schemas of the arguments of the classes that conf/ names, and of dataclasses."""

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from unmix import annotations, checks, config_checks, plugins
from unmix.checks import Check
from unmix.cluster.options import OPTIONS
from unmix.editor.values import OPEN, Schema, any_of, of_annotation, of_check
from unmix.search.settings import CHECKS
from unmix.settings import TABLES

_TRAINER = "unmix.training.trainer.make_trainer"
# Settings of classes whose signatures do not say what they allow.
_CHECKED: dict[str, Mapping[str, Check]] = {
    **config_checks.CLASSES,
    "unmix.data.datamodule.SeparationDataModule": TABLES["data"],
    _TRAINER: TABLES["trainer"],
    "unmix.search.settings.SearchSettings": CHECKS,
    "hydra_plugins.unmix_launchers.SlurmLauncher": dict.fromkeys(OPTIONS, checks.optional(checks.text)),
}
# Functions that pass further arguments on, to what; and those that they set themselves.
_PASSED_ON = {_TRAINER: "pytorch_lightning.Trainer"}
_SET_BY_US = [
    "accelerator",
    "callbacks",
    "devices",
    "enable_checkpointing",
    "enable_model_summary",
    "logger",
    "plugins",
]
_SET_BY_US += ["enable_progress_bar", "num_sanity_val_steps", "strategy", "use_distributed_sampler"]


def arguments(target: str, given: Mapping[str, Any]) -> dict[str, Schema]:
    """Arguments of a class or function by name; those that only code can pass are left out.

    Args:
        target: its dotted name.
        given: arguments that files of conf/ give; any other without a default is passed by the code.
    """
    called = plugins.locate(target, "conf", ())
    parameters = _signature(called)
    if target in _PASSED_ON:
        further = _signature(plugins.locate(_PASSED_ON[target], "conf", ()))
        parameters |= {key: value for key, value in further.items() if key not in (*_SET_BY_US, *parameters)}
    schemas = {key: value for key, (value, is_needed) in parameters.items() if key in given or not is_needed}
    schemas |= {key: of_check(check) for key, check in _CHECKED.get(target, {}).items()}
    return {key: any_of(value, OPEN) for key, value in schemas.items()}


def _signature(called: Any) -> dict[str, tuple[Schema, bool]]:
    """Arguments of a class or function, and of its bases if it passes others on: schema, and whether it is needed."""
    makers = [vars(base).get("__init__") for base in called.__mro__[:-1]] if inspect.isclass(called) else [called]
    schemas: dict[str, tuple[Schema, bool]] = {}
    for maker in filter(None, makers):
        hints = annotations.hints_of(maker)
        parameters = inspect.signature(maker).parameters.values()
        for each in parameters:
            if each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL) or each.name == "self":
                continue
            value = of_annotation(hints.get(each.name, Any))
            value = any_of(value, {"type": "null"}) if each.default is None else value
            schemas.setdefault(each.name, (value, each.default is each.empty))
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break
    return schemas


def of_dataclass(kind: Any) -> dict[str, Schema]:
    """Properties of a dataclass, those of dataclasses within included."""
    hints = get_type_hints(kind)
    return {
        field.name: closed(of_dataclass(hints[field.name]))
        if is_dataclass(hints[field.name])
        else any_of(of_annotation(hints[field.name]), OPEN)
        for field in fields(kind)
    }


def closed(properties: Mapping[str, Schema]) -> Schema:
    """Schema of an object that has no other keys, or is null."""
    return {"type": ["object", "null"], "properties": dict(properties), "additionalProperties": False}


def explained(value: Schema, comment: str) -> Schema:
    """Add an explanation to a schema; beside a reference, which stands alone, it would be ignored."""
    if not comment:
        return value
    return {"description": comment, **({"allOf": [value]} if "$ref" in value else value)}
