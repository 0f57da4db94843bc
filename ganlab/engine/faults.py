"""Whose error is it? Code that a plugin brought runs inside :class:`blamed`, which names its owner if it raises."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from ganlab.errors import GanlabError, PluginError

_ENGINE = str(Path(__file__).resolve().parent)


class blamed:  # noqa: N801 - reads as a word: `with blamed(owner):`
    """A context in which any exception but ganlab's own becomes a PluginError that names ``owner``.

    A class, not a generator: it is entered several times in each turn, and costs a fifth of a microsecond.
    """

    __slots__ = ("owner",)

    def __init__(self, owner: str) -> None:
        self.owner = owner

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception | SystemExit) and not isinstance(error, GanlabError):
            raise PluginError(f"{self.owner} raised {type(error).__name__}: {error}", own_traceback(error)) from error


def own_traceback(error: BaseException) -> str:
    """The traceback of ``error`` from the first frame on that is not the engine's: what the plugin's author needs to see."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [i for i, frame in enumerate(frames) if not frame.filename.startswith(_ENGINE)]
    kept = frames[outside[0] :] if outside else frames
    return (
        "Traceback (of the plugin's own code):\n" + "".join(traceback.format_list(kept) + traceback.format_exception_only(error)).rstrip()
    )
