"""JSON Schemas of single values: what a check or an annotation accepts, for editors and not for commands."""

import inspect
import json
import types
from collections.abc import Collection, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from unmix import augmentation_settings, checks, settings, trainer_checks
from unmix.checks import Check

Schema = dict[str, Any]

# A value that is not known yet: an interpolation of OmegaConf, as ${data.sample_rate}, or ???, which has to be given.
OPEN: Schema = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXTS: Schema = {"type": "array", "items": _TEXT, "uniqueItems": True}
_NUMBER: Schema = {"type": "number"}
_BOUNDS = {"least": "minimum", "above": "exclusiveMinimum", "most": "maximum", "below": "exclusiveMaximum"}
_BY_TYPE: dict[Any, Schema] = {
    int: {"type": "integer"},
    float: _NUMBER,
    bool: {"type": "boolean"},
    str: {"type": "string"},
    Path: {"type": "string"},
    None: {"type": "null"},
    types.NoneType: {"type": "null"},
}
_BY_CHECK: dict[Any, Schema] = {
    checks.flag: {"type": "boolean"},
    checks.integer: {"type": "integer"},
    checks.number: _NUMBER,
    checks.text: _TEXT,
    checks.texts: _TEXTS,
    checks.folder_name: {"type": "string", "pattern": r"^[^./][^/]*$"},
    checks.groups: {"type": "object", "additionalProperties": _TEXTS},
    checks.interval: {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2},
    settings.data_root: _TEXT,
    trainer_checks.limit: {"type": "integer", "minimum": checks.NO_LIMIT},
    trainer_checks.time_limit: {"type": "string", "pattern": r"^\d+:\d{1,2}:\d{1,2}:\d{1,2}$"},
    trainer_checks.share_or_count: {"type": "number", "exclusiveMinimum": 0},
    trainer_checks.device_indices: {
        "anyOf": [{"type": "integer", "minimum": -1}, {"type": "array", "items": {"type": "integer", "minimum": 0}}]
    },
    augmentation_settings.check_track_weights: {
        "anyOf": [_TEXT, {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}}]
    },
}


def of_check(check: Check) -> Schema:
    """Translate a check.

    Raises:
        LookupError: when it is one that has no translation yet.
    """
    function, keywords = (check.func, check.keywords) if isinstance(check, partial) else (check, {})
    if function is augmentation_settings.check_augmentations:
        return _augmentations()
    if function is checks.null_or:
        return any_of(of_check(check.args[0]), {"type": "null"})  # type: ignore[attr-defined]
    if function is checks.any_of:
        return any_of(*map(of_check, check.args[0]))  # type: ignore[attr-defined]
    if "allowed" in keywords:
        words = _spellings(keywords["allowed"], is_number=function is checks.spelling)
        return any_of(words, {"type": "integer", "minimum": 1}) if function is checks.count_or_word else words
    if function not in _BY_CHECK:
        raise LookupError(f"{function!r} has no JSON Schema: add one to unmix.editor.values")
    bounds = {_BOUNDS[name]: value for name, value in keywords.items() if name in _BOUNDS and value is not None}
    if function is checks.text:
        bounds = {"maxLength": keywords["most"]} if keywords else {}
    if function is checks.interval:
        return {**_BY_CHECK[function], "items": {**_NUMBER, **bounds}}
    if function is checks.texts:
        return _BY_CHECK[function] if keywords.get("may_be_empty") else {**_BY_CHECK[function], "minItems": 1}
    return {**_BY_CHECK[function], **bounds}


def of_annotation(annotation: Any) -> Schema:
    """Translate the annotation of a parameter; an empty schema accepts anything."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        # in an order of ours: typing keeps the first of all unions with the same members, wherever it was written
        return any_of(*sorted(map(of_annotation, arguments), key=json.dumps))
    if origin is Literal:
        return {"enum": list(arguments)}
    if annotation in _BY_TYPE:
        return _BY_TYPE[annotation]
    of = origin or annotation
    if not inspect.isclass(of) or of in (Any, object):
        return {}
    if issubclass(of, Enum):
        return {"enum": [member.name for member in of]}
    if issubclass(of, Collection) and not issubclass(of, Mapping):
        items = [each for each in arguments if each is not ...]
        return {"type": "array", **({"items": of_annotation(items[0])} if len(items) == 1 else {})}
    return {"type": "object"}  # a mapping, or the node of an object


def any_of(*schemas: Schema) -> Schema:
    """Join schemas into one that accepts what any of them accepts; choices of choices become one list."""
    flat = [inner for schema in schemas for inner in (schema["anyOf"] if set(schema) == {"anyOf"} else [schema])]
    distinct = [schema for i, schema in enumerate(flat) if schema not in flat[:i]]
    if {} in distinct:
        return {}
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _spellings(words: Collection[str], *, is_number: bool) -> Schema:
    """Words, and where these are converted to text, numbers that are written like them."""
    numbers = [int(word) for word in words if word.isdecimal()] if is_number else []
    return {"enum": [*words, *numbers]}


def _augmentations() -> Schema:
    """A list of names, names with settings, and nodes of classes."""
    table = augmentation_settings.AUGMENTATIONS
    known = {
        name: {
            "type": ["object", "null"],
            "properties": {key: any_of(of_check(check), OPEN) for key, check in options.items()},
            "additionalProperties": False,
        }
        for name, options in table.items()
        if options
    }
    with_settings = {"type": "object", "properties": known, "additionalProperties": False, "maxProperties": 1}
    node = {"type": "object", "required": ["_target_"]}
    return {"type": "array", "items": {"anyOf": [{"enum": list(table)}, with_settings, node]}}
