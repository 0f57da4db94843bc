"""Whose error is it? Code that a plugin brought runs inside :class:`blamed`, which names its owner if it raises."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ganlab.engine.memory import is_memory_error
from ganlab.errors import GanlabError, PluginError

if TYPE_CHECKING:
    from ganlab.engine.seeding import Streams

_ENGINE = str(Path(__file__).resolve().parent)


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
            words = f"{self.owner}{self._when()} raised {type(error).__name__}: {error}"
            raise PluginError(words, own_traceback(error), self.trick) from error

    def _when(self) -> str:
        if self.streams is None:
            return ""
        return f" in step {self.streams.step}," if self.streams.step else ","


def own_traceback(error: BaseException) -> str:
    """The traceback of ``error`` from the first frame on that is not the engine's: what the plugin's author needs to see."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [i for i, frame in enumerate(frames) if not frame.filename.startswith(_ENGINE)]
    kept = frames[outside[0] :] if outside else frames
    return (
        "Traceback (of the plugin's own code):\n" + "".join(traceback.format_list(kept) + traceback.format_exception_only(error)).rstrip()
    )
