"""ganlab's errors, and suggestions for misspelt words.

Every error that ganlab raises on purpose is a :class:`GanlabError`: one message that says what is wrong and where, and a
hint that says what to type next. The command line prints both and exits with the error's code. It shows a traceback only
if a plugin's own code raised.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

from ganlab.printable import printable
from ganlab.redaction import redacted


class GanlabError(Exception):
    """An error that a person can correct.

    Args:
        message: what is wrong, and where (recipe file and line, plugin and hook, or path).
        hint: what to type or change next; empty if the message already says it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """IPython and notebooks show this in place of a traceback, which would have ganlab's own frames only."""
        message, hint = printable(redacted(self.message)), printable(redacted(self.hint))
        return [f"\x1b[1;31m{type(self).__name__}:\x1b[0m {message}", *([f"\x1b[1;36mhint:\x1b[0m {hint}"] if hint else [])]


class UsageError(GanlabError):
    """The recipe, the command line or the machine does not allow the request; nothing was trained (exit code 2)."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe has mistakes.

    Args:
        mistakes: all of them, each as ``file:line: text``, in the order of the file.
        hint: as in :class:`GanlabError`.
        missing_component: whether no plugin brings one of its components.
    """

    def __init__(self, mistakes: list[str], hint: str = "", *, missing_component: bool = False) -> None:
        self.mistakes, self.missing_component = mistakes, missing_component
        super().__init__("\n".join(mistakes), hint)


class DataUnavailable(UsageError):
    """A data set is not available on this machine. ganlab then uses the recipe's ``[fallback]``, if there is one."""


class DataError(GanlabError):
    """The data cannot be read while the run trains, for instance a damaged file. The run is saved first, and can be resumed."""


class PluginError(GanlabError):
    """A plugin's own code raised, or a plugin breaks the rules of registration; the message names plugin and hook.

    Args:
        message, hint: as in :class:`GanlabError`.
        trick: the name in the recipe of the trick whose hook raised; empty if it was not a trick's hook.
    """

    def __init__(self, message: str, hint: str = "", trick: str = "") -> None:
        super().__init__(message, hint)
        self.trick = trick


class NonFiniteError(GanlabError):
    """A loss term, a gradient or a weight became infinite or not a number; the message names it, with player, hook and step."""


class MemoryExhausted(GanlabError):
    """The machine or the GPU has no memory left for the run; the message names device and batch size."""


def cannot_be_written(what: object, error: Exception) -> GanlabError:
    """The error for a file that cannot be written, with what to do about it.

    Args:
        what: the file's path, with a noun before it if that helps.
        error: what writing it raised; for an OSError the hint depends on its cause.
    """
    number = error.errno if isinstance(error, OSError) else None
    hint = "free some space, or choose another folder with --runs-dir"
    if number == errno.ENOENT:
        hint = "was the run's folder removed or moved during the run? then start the run again"
    elif number in (errno.EROFS, errno.EACCES, errno.EPERM):
        hint = "make its folder writable, or choose another one with --runs-dir"
    elif number in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        hint = "choose another folder with --runs-dir"
    elif number == errno.ENAMETOOLONG:
        hint = "choose a shorter name"
    return GanlabError(f"{what} cannot be written: {getattr(error, 'strerror', None) or error}", hint)


def closest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that is most similar to ``word``, or None if none is similar.

    >>> closest("gradient_cliping", ["clamp", "gradient_clipping"])
    'gradient_clipping'
    """
    names = list(choices)
    lowered = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[matches[0]] if matches else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The clause that follows an unknown word: the closest right word, and all choices.

    >>> did_you_mean("rign", ["grid", "ring"])
    "did you mean 'ring'? (choices: grid, ring)"
    """
    names = sorted(set(choices))
    if not names:
        return "there are none to choose from"
    suggestion = closest(word, names)
    listed = f"choices: {', '.join(names)}"
    return f"did you mean '{suggestion}'? ({listed})" if suggestion else listed
