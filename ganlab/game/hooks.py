"""The hooks of one game: its tricks, and nobody else's, called in recipe order."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from ganlab.errors import PluginError
from ganlab.game.blame import blamed
from ganlab.game.culprit import HOOKS, watched
from ganlab.game.hook_answers import reader
from ganlab.game.random_streams import Streams
from ganlab.hookspecs import PROJECT, RunHooks
from ganlab.registry.implementations import RUN_HOOKS, check_implementation

KNOWN = RUN_HOOKS
DECIDING = tuple(name for name in KNOWN if getattr(getattr(RunHooks, name), f"{PROJECT}_spec")["firstresult"])


@dataclass(eq=False)
class Trick:
    """A trick of this run: its name in the recipe, the object, and who wrote it."""

    name: str
    instance: object
    owner: str

    def methods(self) -> dict[str, Callable[..., Any]]:
        """Its hook methods by name."""
        found = {}
        for name in dir(type(self.instance)):
            if not name.startswith("__") and hasattr(getattr(type(self.instance), name, None), f"{PROJECT}_impl"):
                found[name] = getattr(self.instance, name)
        return found

    def asks_for(self, attribute: str) -> bool:
        """Whether its class reads an attribute of this name of anything, such as ``total_steps`` of the run, as far as its code tells."""
        functions = [member for kind in type(self.instance).__mro__ for member in vars(kind).values() if inspect.isfunction(member)]
        return any(attribute in function.__code__.co_names for function in functions)


class _Handle:
    """What is registered with pluggy for a trick: compares by identity, where two equal dataclasses would be taken for one."""


class Hooks:
    """Calls the hooks of some tricks, in recipe order: ``hooks.before_turn(turn=turn)``.

    Some arguments are the same in every call: the run that a game belongs to, which the game itself does not know. They are added to
    each call of a hook that has a parameter of that name.

    Attributes:
        relay: pluggy's own; with it every argument must be passed.
    """

    def __init__(self, relay: pluggy.HookRelay, constant: Mapping[str, Any]) -> None:
        self.relay, self._constant = relay, constant
        for hook, parameters in KNOWN.items():
            added = {name: value for name, value in constant.items() if name in parameters}
            setattr(self, hook, functools.partial(getattr(relay, hook), **added))

    if TYPE_CHECKING:

        def __getattr__(self, hook: str) -> Callable[..., Any]: ...

    def call_each(self, hook: str, **arguments: Any) -> list[Exception]:
        """Call every implementation of ``hook``, whatever the others do, and return what they raised."""
        raised = []
        for impl in reversed(getattr(self.relay, hook).get_hookimpls()):
            try:
                impl.function(*({**self._constant, **arguments}[name] for name in impl.argnames))
            except Exception as error:
                raised.append(error)
        return raised


def connect(tricks: list[Trick], streams: Streams, tell: Callable[[str], None], constant: Mapping[str, Any]) -> Hooks:
    """The hooks that call ``tricks`` in this order, each call seeded and, if it raises, blamed on its owner.

    Args:
        tricks, streams: these, and where their randomness comes from.
        tell: called with what a person must know of what they return.
        constant: arguments that are the same in every call, by name.

    Raises:
        PluginError: a trick has no hooks or an unknown one, wants an unknown parameter, or claims a decision twice.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(RunHooks)
    deciders: dict[str, Trick] = {}
    for trick in tricks:
        if isinstance(trick.instance, type):
            kind = trick.instance.__name__
            raise PluginError(
                f"{trick.owner} is {'a class' if kind == trick.owner else f'the class {kind}'}, not an object", f"make one: `{kind}()`"
            )
        methods = trick.methods()
        for name in KNOWN:
            if name not in methods and callable(getattr(trick.instance, name, None)):
                raise PluginError(f"{trick.owner} has a method {name} that is not marked as a hook", "mark it with @ganlab.hookimpl")
        if not methods:
            raise PluginError(f"{trick.owner} has no hooks", "mark its methods with @ganlab.hookimpl; the hooks are in ganlab/hookspecs.py")
        for one, other in (("state_dict", "load_state_dict"), ("load_state_dict", "state_dict")):
            if hasattr(trick.instance, one) and not hasattr(trick.instance, other):
                raise PluginError(f"{trick.owner} has {one} and no {other}", "write both, or its state is lost when a run is resumed")
        for name, method in methods.items():
            check_implementation(trick.owner, name, method, KNOWN)
            if name in DECIDING and (first := deciders.setdefault(name, trick)) is not trick:
                raise PluginError(f"{first.owner} and {trick.owner} both decide {name}", "only one trick of a recipe may; switch one off")
    for trick in reversed(tricks):  # pluggy calls last what was registered first
        handle = _Handle()
        for name, method in trick.methods().items():
            setattr(handle, name, _guarded(trick, name, method, streams, tell))
        manager.register(handle, trick.name)
    return Hooks(manager.hook, constant)


def transcript_of(hooks: Hooks) -> dict[str, list[str]]:
    """For every hook that a trick of this game implements, the names of those tricks in the order of their calls."""
    called = {name: [impl.plugin_name for impl in reversed(getattr(hooks.relay, name).get_hookimpls())] for name in KNOWN}
    return {name: tricks for name, tricks in called.items() if tricks}


def _guarded(trick: Trick, hook: str, method: Callable[..., Any], streams: Streams, tell: Callable[[str], None]) -> Callable[..., Any]:
    base = streams.base(f"trick/{trick.name}/{hook}")
    blame = blamed(f"{trick.owner}, in its hook {hook}", trick.name, streams)
    reseed, read = streams.reseed, reader(hook, trick.owner, blame, tell)

    @functools.wraps(method)
    def call(*args: Any) -> Any:
        reseed(base)
        with blame:
            answer = method(*args)
            return answer if answer is None else read(answer)

    parameters = list(inspect.signature(method).parameters)
    if hook in HOOKS and "turn" in parameters and not getattr(trick.instance, "only_watches", False):
        return watched(trick.owner, trick.name, hook, parameters.index("turn"), call)
    return call
