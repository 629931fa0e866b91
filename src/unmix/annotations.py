"""Checks of values against the annotations of a class or function, for classes that a configuration names."""

import inspect
import math
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from unmix import errors

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}


def misfits(name: str, called: Callable[..., Any], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield one message for every value that is no argument of a class or function, or has the wrong type.

    Args:
        name: name of the configuration's node, for the messages.
        called: class or function; parameters without an annotation take any value.
        values: arguments by name; keys that begin with an underscore belong to Hydra.
    """
    parameters = inspect.signature(called).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    annotated = hints(called)
    for key, value in values.items():
        if str(key).startswith("_"):
            continue
        if key not in parameters:
            if not takes_any:
                yield errors.unknown(f"{name}.{key!s}", key, parameters)
            continue
        default = parameters[key].default
        if _is_nan(value) or not (_same(value, default) or accepts(annotated.get(key, Any), value)):
            yield f"{name}.{key!s}: got {value!r}, {describe(annotated.get(key, float))} is needed"


def hints(called: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of the parameters; empty when they cannot be resolved, as names imported for type checkers only."""
    try:
        return get_type_hints(called.__init__ if inspect.isclass(called) else called)
    except (NameError, TypeError, AttributeError):
        return {}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def accepts(annotation: Any, value: Any) -> bool:
    """Tell whether a value of a configuration fits an annotation.

    Numbers are not converted, but a whole number fits `float`. A mapping fits every class, as Hydra builds objects of
    mappings. An empty text fits no annotation.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (Any, object) or isinstance(annotation, TypeVar | str):
        return True
    if annotation is None or annotation is types.NoneType:
        return value is None
    if origin in (Union, types.UnionType):
        return any(accepts(argument, value) for argument in arguments)
    if origin is Literal:
        return any(_same(value, argument) for argument in arguments)
    if annotation in _WORDS:
        return _is_simple(annotation, value)
    if _is_collection(origin or annotation):
        return _fits_collection(arguments, value)
    return isinstance(value, Mapping)


def _is_simple(annotation: type, value: Any) -> bool:
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and not _is_nan(value)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is bool:
        return isinstance(value, bool)
    return isinstance(value, str | Path) and bool(str(value).strip())


def _is_collection(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, Collection) and not issubclass(annotation, Mapping)


def _fits_collection(arguments: tuple[Any, ...], value: Any) -> bool:
    """Whether a value is a list whose items fit `list[x]`, `tuple[x, ...]` or `tuple[x, y]`."""
    if not isinstance(value, list | tuple):
        return False
    items = [argument for argument in arguments if argument is not ...]
    if len(items) <= 1:
        return all(accepts(items[0], item) for item in value) if items else True
    return len(items) == len(value) and all(map(accepts, items, value))


def describe(annotation: Any) -> str:
    """Describe in words what fits an annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        known = [describe(argument) for argument in arguments if argument is not types.NoneType]
        return " or ".join([*dict.fromkeys(known), *(["null"] if types.NoneType in arguments else [])])
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if annotation in _WORDS:
        return _WORDS[annotation]
    if _is_collection(origin or annotation):
        return "a list"
    return "keys with a _target_"
