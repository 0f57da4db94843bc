"""The options of a component or trick: a pydantic model made from the annotations, defaults and ranges of its signature."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, get_type_hints

import pydantic

from ganlab.errors import PluginError

#: Keys of a recipe's tables that belong to ganlab; no component may have an option of that name.
RESERVED = frozenset({"use", "name", "enabled", "optimizer"})
#: Types of class members that are not values of attributes.
_NOT_VALUES = frozenset({"property", "cached_property", "classmethod", "staticmethod", "member_descriptor"})


@functools.lru_cache(maxsize=1024)  # a model takes 4 ms, and a script or a notebook makes the catalogue for each run
def options_model(factory: Callable[..., Any], owner: str) -> type[pydantic.BaseModel]:
    """The model whose fields are ``factory``'s options: dataclass fields, or keyword-only parameters.

    Unknown keys are forbidden, and types are strict. Validate with :func:`validate_options`, which accepts TOML's types.

    Args:
        factory: a dataclass, another class, or a function.
        owner: the component and its plugin, for error messages: ``"trick 'clamp' of plugin ganlab_stability"``.

    Raises:
        PluginError: an option has no annotation, one that pydantic cannot use, or a name that ganlab reserves.
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError as error:  # written in C
        raise PluginError(f"{owner}: its signature cannot be read", "wrap it in a function with annotated options") from error
    is_dataclass = dataclasses.is_dataclass(factory)
    option_parameters = [p for p in parameters if is_dataclass or p.kind is inspect.Parameter.KEYWORD_ONLY]
    try:
        source: Any = factory if is_dataclass or not inspect.isclass(factory) else factory.__init__
        hints = get_type_hints(source, include_extras=True)
    except Exception as error:
        raise PluginError(f"{owner}: its annotations cannot be read: {error}") from error
    fields: dict[str, Any] = {}
    for parameter in option_parameters:
        if parameter.name not in hints:
            raise PluginError(
                f"{owner}: option '{parameter.name}' has no annotation", f"write `{parameter.name}: float = ...`, for instance"
            )
        if parameter.name in RESERVED:
            raise PluginError(f"{owner}: an option may not be called '{parameter.name}', which is a key of ganlab's own", "rename it")
        fields[parameter.name] = (hints[parameter.name], _default(factory, parameter, is_dataclass))
    try:
        model: type[pydantic.BaseModel] = pydantic.create_model(
            f"{getattr(factory, '__name__', 'Options')}Options",
            __config__=pydantic.ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False, protected_namespaces=()),
            __doc__=inspect.getdoc(factory) or "",
            **fields,
        )
    except Exception as error:
        raise PluginError(f"{owner}: its options cannot be described: {str(error).splitlines()[0]}") from error
    return model


def check_call(factory: Callable[..., Any], positional: str | None, owner: str) -> None:
    """Check that the engine can call ``factory`` with one positional argument or none, and options by name.

    Args:
        positional: the name of the positional argument that the engine passes, or None.

    Raises:
        PluginError: it has too few or too many positional parameters.
    """
    if dataclasses.is_dataclass(factory) and not positional:
        return
    parameters = [] if dataclasses.is_dataclass(factory) else list(inspect.signature(factory).parameters.values())
    accepted = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p.name for p in accepted[1 if positional else 0 :] if p.default is p.empty]
    if required:
        raise PluginError(
            f"{owner}: the engine passes no '{required[0]}', which it requires",
            f"to make it an option, put it after a star: `*, {required[0]}: float`",
        )
    if positional and not accepted and all(p.kind is not p.VAR_POSITIONAL for p in parameters):
        raise PluginError(
            f"{owner}: it takes no '{positional}', which the engine passes", f"make `{positional}` its first parameter, before the options"
        )


def why_not_options(factory: Callable[..., Any]) -> dict[str, str]:
    """Names that look like options of ``factory`` and are not, each with the reason."""
    if dataclasses.is_dataclass(factory):
        reason = "has no annotation, so it is not an option: write `{0}: {1} = ...`"
        attributes = {
            name: type(value).__name__
            for kind in getattr(factory, "__mro__", ())
            for name, value in vars(kind).items()
            if not name.startswith("_") and not callable(value) and name not in inspect.get_annotations(kind)
        }
        return {name: reason.format(name, kind) for name, kind in attributes.items() if kind not in _NOT_VALUES}
    parameters = inspect.signature(factory).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty]
    return {name: f"is before the star, so it is not an option: write `*, {name}`" for name in names}


def _default(factory: Callable[..., Any], parameter: inspect.Parameter, is_dataclass: bool) -> Any:
    if is_dataclass:
        field = next(f for f in dataclasses.fields(factory) if f.name == parameter.name)  # type: ignore[arg-type]
        if field.default_factory is not dataclasses.MISSING:
            return pydantic.Field(default_factory=field.default_factory)
    return ... if parameter.default is inspect.Parameter.empty else parameter.default


def validate_options(model: type[pydantic.BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """``values``, checked against ``model`` and completed with its defaults, as keyword arguments for the factory.

    Validates JSON, because a strict model then accepts a list for a tuple and a string for a path, but not "5" for 5.

    Raises:
        pydantic.ValidationError: with all mistakes at once.
    """
    import json

    checked = model.model_validate_json(json.dumps(values, default=str), strict=True)
    return {name: getattr(checked, name) for name in type(checked).model_fields}


def plain(values: dict[str, Any], model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Validated options as TOML types: paths become strings, tuples become lists, options that are None are left out."""
    dumped: dict[str, Any] = model.model_construct(**values).model_dump(mode="json", exclude_none=True)
    return dumped


def summary(factory: Callable[..., Any]) -> str:
    """The first paragraph of the factory's docstring in one line, for lists of components."""
    if isinstance(factory, functools.partial | types.MethodType):
        factory = factory.func if isinstance(factory, functools.partial) else factory.__func__
    document = inspect.getdoc(factory) or ""
    generated = dataclasses.is_dataclass(factory) and document.startswith(f"{factory.__name__}(")  # written by @dataclass
    return "" if generated else document.split("\n\n")[0].replace("\n", " ").strip()
