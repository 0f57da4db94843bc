"""Calls the hooks of one game's tricks, in recipe order."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from ganlab.errors import PluginError
from ganlab.game.blame import blamed
from ganlab.game.culprit import TRACED_HOOKS, traced
from ganlab.game.hook_results import result_reader
from ganlab.game.random_streams import Streams
from ganlab.hookspecs import PROJECT, RunHooks
from ganlab.registry.implementations import RUN_HOOKS, check_implementation

DECIDING = tuple(name for name in RUN_HOOKS if getattr(getattr(RunHooks, name), f"{PROJECT}_spec")["firstresult"])


@dataclass(eq=False)
class Trick:
    """A trick of a game.

    Attributes:
        name: in the recipe.
        instance: the object with the hook methods.
        owner: its name and plugin, for error messages.
    """

    name: str
    instance: object
    owner: str

    def methods(self) -> dict[str, Callable[..., Any]]:
        """The trick's hook methods by name."""
        methods = {}
        for name in dir(type(self.instance)):
            if not name.startswith("__") and hasattr(getattr(type(self.instance), name, None), f"{PROJECT}_impl"):
                methods[name] = getattr(self.instance, name)
        return methods


@dataclass
class Calling:
    """The trick whose hook is running now; None outside of hooks."""

    trick: Trick | None = None

    @property
    def name(self) -> str:
        """The trick's name in the recipe; empty outside of hooks, and for a trick that only watches."""
        return self.trick.name if self.trick is not None and not getattr(self.trick.instance, "only_watches", False) else ""

    @property
    def owner(self) -> str:
        """Who is to be named for what is done now: the trick with its plugin, or a script."""
        return self.trick.owner if self.trick is not None else "a script"


class _Handle:
    """The object that pluggy registers for a trick. It compares by identity: pluggy refuses a second trick that equals the first."""


class Hooks:
    """Calls the hooks of a list of tricks, in recipe order: ``hooks.before_turn(turn=turn)``.

    Arguments in ``constant`` are the same in every call. They are added to each call of a hook that has a parameter of that name.

    Attributes:
        relay: pluggy's hook relay, which adds no arguments.
        calling: the trick whose hook is running now.
    """

    def __init__(self, relay: pluggy.HookRelay, constant: Mapping[str, Any], calling: Calling) -> None:
        self.relay, self.calling, self._constant = relay, calling, constant
        for hook, parameters in RUN_HOOKS.items():
            added = {name: value for name, value in constant.items() if name in parameters}
            setattr(self, hook, functools.partial(getattr(relay, hook), **added))

    if TYPE_CHECKING:

        def __getattr__(self, hook: str) -> Callable[..., Any]: ...

    def call_each(self, hook: str, **arguments: Any) -> list[Exception]:
        """Call every implementation of ``hook``, even after one has failed. Returns the errors that they raised."""
        errors = []
        for impl in reversed(getattr(self.relay, hook).get_hookimpls()):
            try:
                impl.function(*({**self._constant, **arguments}[name] for name in impl.argnames))
            except Exception as error:
                errors.append(error)
        return errors


def connect(tricks: list[Trick], streams: Streams, announce: Callable[[str], None], constant: Mapping[str, Any]) -> Hooks:
    """The hooks of ``tricks``, called in this order. Each call has its own random stream, and each error names the trick.

    Args:
        announce: called with a message for the user if a hook returns a value that ganlab ignores.
        constant: arguments that are the same in every call, by name.

    Raises:
        PluginError: a trick has no hook or an unknown one, a hook has an unknown parameter, or two tricks implement a hook of which only
            one may exist.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(RunHooks)
    deciders: dict[str, Trick] = {}
    for trick in tricks:
        if isinstance(trick.instance, type):
            kind = trick.instance.__name__
            raise PluginError(
                f"{trick.owner} is {'a class' if kind == trick.owner else f'the class {kind}'}, not an object",
                f"make one: `{kind}()`",
            )
        methods = trick.methods()
        for name in RUN_HOOKS:
            if name not in methods and callable(getattr(trick.instance, name, None)):
                raise PluginError(f"{trick.owner} has a method {name} that is not marked as a hook", "mark it with @ganlab.hookimpl")
        if not methods:
            raise PluginError(f"{trick.owner} has no hooks", "mark its methods with @ganlab.hookimpl; the hooks are in ganlab/hookspecs.py")
        for present, missing in (("state_dict", "load_state_dict"), ("load_state_dict", "state_dict")):
            if hasattr(trick.instance, present) and not hasattr(trick.instance, missing):
                raise PluginError(f"{trick.owner} has {present} and no {missing}", "write both, or its state is lost when a run is resumed")
        for name, method in methods.items():
            check_implementation(trick.owner, name, method, RUN_HOOKS)
            if name in DECIDING and (first := deciders.setdefault(name, trick)) is not trick:
                raise PluginError(f"{first.owner} and {trick.owner} both decide {name}", "only one trick of a recipe may; switch one off")
    calling = Calling()
    for trick in reversed(tricks):  # pluggy calls the trick that was registered first last
        handle = _Handle()
        for name, method in trick.methods().items():
            setattr(handle, name, _wrapped(trick, name, method, streams, announce, calling))
        manager.register(handle, trick.name)
    return Hooks(manager.hook, constant, calling)


def transcript_of(hooks: Hooks) -> dict[str, list[str]]:
    """For each hook, the names of the tricks that implement it, in the order of their calls. Hooks without any are left out."""
    called = {name: [impl.plugin_name for impl in reversed(getattr(hooks.relay, name).get_hookimpls())] for name in RUN_HOOKS}
    return {name: tricks for name, tricks in called.items() if tricks}


def _wrapped(
    trick: Trick, hook: str, method: Callable[..., Any], streams: Streams, announce: Callable[[str], None], calling: Calling
) -> Callable[..., Any]:
    """A trick's hook method that seeds its random stream, names the trick in errors, and checks its result."""
    base = streams.base(f"trick/{trick.name}/{hook}")
    blame = blamed(f"{trick.owner}, in its hook {hook}", trick.name, streams)
    reseed, read = streams.reseed, result_reader(hook, trick.owner, blame, announce)

    @functools.wraps(method)
    def call(*args: Any) -> Any:
        reseed(base)
        outer, calling.trick = calling.trick, trick  # a hook may call another: run.show_picture calls on_images
        try:
            with blame:
                result = method(*args)
                return result if result is None else read(result)
        finally:
            calling.trick = outer

    parameters = list(inspect.signature(method).parameters)
    if hook in TRACED_HOOKS and "turn" in parameters and not getattr(trick.instance, "only_watches", False):
        return traced(trick.owner, trick.name, hook, parameters.index("turn"), call)
    return call
