"""The options of a component or trick, read from its signature: annotations, defaults and ranges become a pydantic model."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, get_type_hints

import pydantic

from ganlab.errors import PluginError

#: Words of a recipe's tables that belong to ganlab; no component may have an option of that name.
RESERVED = frozenset({"use", "name", "enabled", "optimizer"})
#: What classes hold that is no value of an attribute.
_NO_VALUES = frozenset({"property", "cached_property", "classmethod", "staticmethod", "member_descriptor"})


def options_model(factory: Callable[..., Any], owner: str) -> type[pydantic.BaseModel]:
    """The model whose fields are ``factory``'s options: dataclass fields, or keyword-only parameters.

    Unknown keys are forbidden and types are strict (validate with :func:`validate_options`, which knows what TOML can say).

    Args:
        factory: a dataclass, another class, or a function.
        owner: who brought it, for error messages: ``"trick 'clamp' of plugin ganlab_stability"``.

    Raises:
        PluginError: an option has no annotation, an unusable one, or a name that ganlab keeps for itself.
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError as error:  # written in C
        raise PluginError(f"{owner}: it has no signature that can be read", "wrap it in a function with annotated options") from error
    is_dataclass = dataclasses.is_dataclass(factory)
    wanted = [p for p in parameters if is_dataclass or p.kind is inspect.Parameter.KEYWORD_ONLY]
    try:
        source: Any = factory if is_dataclass or not inspect.isclass(factory) else factory.__init__
        hints = get_type_hints(source, include_extras=True)
    except Exception as error:
        raise PluginError(f"{owner}: its annotations cannot be read: {error}") from error
    fields: dict[str, Any] = {}
    for parameter in wanted:
        if parameter.name not in hints:
            raise PluginError(
                f"{owner}: option '{parameter.name}' has no annotation", f"write `{parameter.name}: float = ...`, for instance"
            )
        if parameter.name in RESERVED:
            raise PluginError(f"{owner}: an option may not be called '{parameter.name}', a word of the recipe's own", "rename it")
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


def check_call(factory: Callable[..., Any], handed: str | None, owner: str) -> None:
    """See that the engine can call ``factory``: with what it hands over, if anything, and options by name.

    Args:
        factory: it has passed :func:`options_model`.
        handed: the name of the one positional parameter that it is given, or None.
        owner: as there.

    Raises:
        PluginError: it takes too few positional parameters, or needs more.
    """
    if dataclasses.is_dataclass(factory) and not handed:
        return
    parameters = [] if dataclasses.is_dataclass(factory) else list(inspect.signature(factory).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p.name for p in positional[1 if handed else 0 :] if p.default is p.empty]
    if needed:
        raise PluginError(
            f"{owner}: nobody gives it its parameter '{needed[0]}'",
            f"to make it an option, write it behind a star: `*, {needed[0]}: float`",
        )
    if handed and not positional and all(p.kind is not p.VAR_POSITIONAL for p in parameters):
        raise PluginError(
            f"{owner}: it takes no '{handed}', which it is handed", f"make `{handed}` its first parameter, before the options"
        )


def no_options(factory: Callable[..., Any]) -> dict[str, str]:
    """What looks like an option of ``factory`` and is none: why, by its name."""
    if dataclasses.is_dataclass(factory):
        words = "has no annotation, and so it is no option: write `{0}: {1} = ...`"
        found = {
            name: type(value).__name__
            for kind in getattr(factory, "__mro__", ())
            for name, value in vars(kind).items()
            if not name.startswith("_") and not callable(value) and name not in inspect.get_annotations(kind)
        }
        return {name: words.format(name, kind) for name, kind in found.items() if kind not in _NO_VALUES}
    parameters = inspect.signature(factory).parameters.values()
    return {
        p.name: f"stands before the star, and so it is no option: write `*, {p.name}: {_annotation(p)} = ...`"
        for p in parameters
        if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty
    }


def _annotation(parameter: inspect.Parameter) -> str:
    if parameter.annotation is parameter.empty:
        return "float" if parameter.default is None else type(parameter.default).__name__
    return str(getattr(parameter.annotation, "__name__", parameter.annotation))


def _default(factory: Callable[..., Any], parameter: inspect.Parameter, is_dataclass: bool) -> Any:
    if is_dataclass:
        field = next(f for f in dataclasses.fields(factory) if f.name == parameter.name)  # type: ignore[arg-type]
        if field.default_factory is not dataclasses.MISSING:
            return pydantic.Field(default_factory=field.default_factory)
    return ... if parameter.default is inspect.Parameter.empty else parameter.default


def validate_options(model: type[pydantic.BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """``values`` checked against ``model`` and completed with its defaults, as keyword arguments for the factory.

    Goes through JSON, where a strict model still takes a list for a tuple and a string for a path, but never "5" for 5.

    Raises:
        pydantic.ValidationError: with all mistakes at once.
    """
    import json

    checked = model.model_validate_json(json.dumps(values, default=str), strict=True)
    return {name: getattr(checked, name) for name in type(checked).model_fields}


def plain(values: dict[str, Any], model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Validated options as TOML can hold them: paths become strings, tuples lists; options that are None are left out."""
    dumped: dict[str, Any] = model.model_construct(**values).model_dump(mode="json", exclude_none=True)
    return dumped


def summary(factory: Callable[..., Any]) -> str:
    """The first line of the factory's docstring: what a list of components says of it."""
    if isinstance(factory, functools.partial | types.MethodType):
        factory = factory.func if isinstance(factory, functools.partial) else factory.__func__
    document = inspect.getdoc(factory) or ""
    generated = dataclasses.is_dataclass(factory) and document.startswith(f"{factory.__name__}(")  # dataclass writes its own
    return "" if generated else document.split("\n\n")[0].replace("\n", " ").strip()
