"""Whose error is it? Code that a plugin brought runs inside :class:`blamed`, which names its owner if it raises."""

from __future__ import annotations

import re
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from ganlab.errors import GanlabError, PluginError, closest
from ganlab.game.out_of_memory import is_memory_error

if TYPE_CHECKING:
    from ganlab.game.random_streams import Streams

_CORE = str(Path(__file__).resolve().parents[1])  # ganlab's own code; plugins lie in packages of their own


class blamed:  # noqa: N801 - reads as a word: `with blamed(owner):`
    """A context in which any exception but ganlab's own becomes a PluginError that names ``owner``.

    Where it is a trick's hook, ``trick`` is its name in the recipe, and ``streams`` know the step. An allocator's error is nobody's.

    A class, not a generator: it is entered several times in each turn, and costs a fifth of a microsecond.
    """

    __slots__ = ("owner", "streams", "trick")

    def __init__(self, owner: str, trick: str = "", streams: Streams | None = None) -> None:
        self.owner, self.trick, self.streams = owner, trick, streams

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception | SystemExit) and not isinstance(error, GanlabError) and not is_memory_error(error):
            words = f"{self.owner}{self._when()} raised {type(error).__name__}: {error}{misspelt(error)}"
            raise PluginError(words, own_traceback(error), self.trick) from error

    def refuse(self, what: str, hint: str) -> NoReturn:
        """Raise the PluginError that says ``what`` the owner did, in the same words as for what it raised."""
        raise PluginError(f"{self.owner}{self._when()} {what}", hint, self.trick)

    def _when(self) -> str:
        if self.streams is None:
            return ""
        return f" in step {self.streams.step}," if self.streams.step else ","


def misspelt(error: BaseException) -> str:
    """The half sentence that names the attribute that an AttributeError's was meant to be; empty where none is near.

    What has no such attribute stands in the error, or (when one was to be set, before Python 3.12) in the frame that raised it.
    """
    found = re.fullmatch(r"'(\w+)' object has no attribute '(\w+)'", str(error)) if isinstance(error, AttributeError) else None
    if found is None:
        return ""
    frames = list(traceback.walk_tb(error.__traceback__))
    there = [getattr(error, "obj", None), *frames[-1][0].f_locals.values()]
    with suppress(Exception):  # any object may say that it is any other
        subject = next(one for one in there if type(one).__name__ == found[1])
        near = closest(found[2], (name for name in dir(subject) if not name.startswith("_")))
        return f"; did you mean '{near}'?" if near else ""
    return ""


def own_traceback(error: BaseException) -> str:
    """The traceback of ``error`` from the first frame on that is not the engine's: what the plugin's author needs to see."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [i for i, frame in enumerate(frames) if not frame.filename.startswith(_CORE)]
    kept = frames[outside[0] :] if outside else frames
    return (
        "Traceback (of the plugin's own code):\n" + "".join(traceback.format_list(kept) + traceback.format_exception_only(error)).rstrip()
    )
