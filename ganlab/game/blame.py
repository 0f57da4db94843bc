"""Attributes errors to plugins: a plugin's code runs inside :class:`blamed`, which names its owner if it raises an error."""

from __future__ import annotations

import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from ganlab.errors import GanlabError, PluginError, closest
from ganlab.game.out_of_memory import is_memory_error

if TYPE_CHECKING:
    from ganlab.game.random_streams import Streams

_CORE = str(Path(__file__).resolve().parents[1])  # ganlab's own code; plugins are packages of their own


class blamed:  # noqa: N801 - reads as a word: `with blamed(owner):`
    """A context that turns every exception into a PluginError that names ``owner``, except ganlab's own errors and out-of-memory errors.

    It is a class, not a generator function, because it is entered several times in each turn: it takes a fifth of a microsecond.

    Args:
        owner: whose code runs inside, for the message.
        trick: for a trick's hook, the trick's name in the recipe.
        streams: for a trick's hook, the random streams of the game. They know the current step.
    """

    __slots__ = ("owner", "streams", "trick")

    def __init__(self, owner: str, trick: str = "", streams: Streams | None = None) -> None:
        self.owner, self.trick, self.streams = owner, trick, streams

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception | SystemExit) and not isinstance(error, GanlabError) and not is_memory_error(error):
            message = f"{self.owner}{self._when()} raised {type(error).__name__}: {error}{misspelt(error)}"
            raise PluginError(message, own_traceback(error), self.trick) from error

    def refuse(self, what: str, hint: str) -> NoReturn:
        """Raise a PluginError that says ``what`` the owner did."""
        raise PluginError(f"{self.owner}{self._when()} {what}", hint, self.trick)

    def _when(self) -> str:
        if self.streams is None:
            return ""
        return f" in step {self.streams.step}," if self.streams.step else ","


def misspelt(error: BaseException) -> str:
    """The suggestion ``; did you mean 'x'?`` for an AttributeError; empty if its object has no attribute with a similar name."""
    if not isinstance(error, AttributeError) or error.obj is None or not error.name:
        return ""
    near: str | None = None
    with suppress(Exception):  # dir() of a torch module whose __init__ did not call super().__init__() raises
        names = dir(error.obj)
        if error.name not in names:  # else a property of that name has raised the error
            near = closest(error.name, (name for name in names if not name.startswith("_")))
    return f"; did you mean '{near}'?" if near else ""


def own_traceback(error: BaseException) -> str:
    """The traceback of ``error``, from the first frame outside of ganlab's own code: the part that concerns the plugin's author."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [i for i, frame in enumerate(frames) if not frame.filename.startswith(_CORE)]
    shown = frames[outside[0] :] if outside else frames
    return (
        "Traceback (of the plugin's own code):\n" + "".join(traceback.format_list(shown) + traceback.format_exception_only(error)).rstrip()
    )
