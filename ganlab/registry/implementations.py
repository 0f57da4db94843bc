"""Checks of hook implementations: mistakes that pluggy accepts silently, or reports in its own words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ganlab.errors import PluginError, did_you_mean
from ganlab.hookspecs import PROJECT, RegistrationHooks, RunHooks


def hooks_of(specifications: type) -> dict[str, tuple[str, ...]]:
    """The hooks of a class of specifications in their order, and the names of the parameters of each."""
    marked = {name: spec for name, spec in vars(specifications).items() if hasattr(spec, f"{PROJECT}_spec")}
    return {name: tuple(inspect.signature(spec).parameters)[1:] for name, spec in marked.items()}


RUN_HOOKS, REGISTRATION_HOOKS = hooks_of(RunHooks), hooks_of(RegistrationHooks)


def check_implementation(owner: str, name: str, method: Callable[..., Any], known: Mapping[str, tuple[str, ...]]) -> None:
    """Check that ``method`` is a valid implementation of the hook ``name``.

    Raises:
        PluginError: it is not valid.
    """
    if name not in known:
        raise PluginError(f"{owner} implements an unknown hook '{name}'", _suggestion(name, known))
    options = getattr(method, f"{PROJECT}_impl")
    if options["tryfirst"] or options["trylast"]:
        raise PluginError(
            f"{owner}: hook {name} asks to be called first or last, which ganlab does not allow",
            "remove `tryfirst` or `trylast`: the recipe's order is the order of calls",
        )
    if options["wrapper"] or options["hookwrapper"]:
        instead = ", and assign to `turn`" if known is RUN_HOOKS else ", and call `register`"
        raise PluginError(f"{owner}: hook {name} is a wrapper, which ganlab does not allow", f"remove `wrapper=True`{instead}")
    for parameter in inspect.signature(method).parameters.values():
        if parameter.name not in known[name]:
            raise PluginError(f"{owner}: hook {name} has no parameter '{parameter.name}'", did_you_mean(parameter.name, known[name]))
        if parameter.default is not parameter.empty:
            raise PluginError(
                f"{owner}: hook {name} has a default value for '{parameter.name}'", "remove it: the engine passes every parameter"
            )


def check_plugin(owner: str, plugin: object) -> None:
    """Check that a plugin, a module or an object, has registration hooks, and that each of them is valid.

    Raises:
        PluginError: it has none, or one that is not valid.
    """
    if isinstance(plugin, type):
        raise PluginError(f"{owner} is a class, not an object", f"make one: `{plugin.__name__}()`")
    implementations = {name: getattr(plugin, name) for name in dir(plugin) if hasattr(getattr(plugin, name, None), f"{PROJECT}_impl")}
    for name, function in implementations.items():
        check_implementation(owner, name, function, REGISTRATION_HOOKS)
    for name in REGISTRATION_HOOKS:
        if name not in implementations and callable(getattr(plugin, name, None)):
            raise PluginError(f"{owner} has a function {name} that is not marked as a hook", "mark it with @ganlab.hookimpl")
    if not implementations:
        raise PluginError(
            f"{owner} registers nothing",
            "define a function register_tricks(register), or another register_ hook, marked with @ganlab.hookimpl",
        )


def _suggestion(name: str, known: Mapping[str, tuple[str, ...]]) -> str:
    """A hint for an unknown hook: it is of the other kind, or misspelt."""
    if known is REGISTRATION_HOOKS and name in RUN_HOOKS:
        return f"{name} is a hook of tricks: make it a method of a class, and register that in register_tricks"
    if known is RUN_HOOKS and name in REGISTRATION_HOOKS:
        return f"{name} is a hook of plugins: make it a function of the module"
    return did_you_mean(name, known)
