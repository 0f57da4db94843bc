"""What can go wrong, in the words that a person reads.

Every error that ganlab raises on purpose is a :class:`GanlabError`: one message that says what is wrong and where, and a
hint that says what to type next. The command line prints both and exits with the error's code; a traceback is shown only
where it is the plugin author's own.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class GanlabError(Exception):
    """Something that a person can put right.

    Args:
        message: what is wrong, and where (recipe file and line, plugin and hook, or path).
        hint: what to type or change next; empty when the message already says it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """What IPython and notebooks show in place of a traceback: ganlab's own frames tell nobody what to do."""
        return [f"\x1b[1;31m{type(self).__name__}:\x1b[0m {self.message}", *([f"\x1b[1;36mhint:\x1b[0m {self.hint}"] if self.hint else [])]


class UsageError(GanlabError):
    """The recipe, the command line or the machine does not allow what was asked; nothing has been trained (exit code 2)."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe is wrong. Holds every mistake found, each as ``file:line: text``, in the order of the file."""

    def __init__(self, mistakes: list[str], hint: str = "") -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes), hint)


class DataUnavailable(UsageError):
    """A data set cannot be had on this machine. The one error that a recipe's ``[fallback]`` answers."""


class PluginError(GanlabError):
    """A plugin's own code raised, or a plugin breaks the rules of registration; the message names plugin and hook.

    Args:
        message, hint: as ever.
        trick: the name in the recipe of the trick whose hook raised; empty where it was none.
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
        what: the file's path, with a word before it where that helps.
        error: what writing it raised; an OSError tells more than others.
    """
    number = error.errno if isinstance(error, OSError) else None
    hint = "free some space, or choose another folder with --runs-dir"
    if number == errno.ENOENT:
        hint = "was the run's folder removed or moved while the run went on? then begin the run anew"
    elif number in (errno.EROFS, errno.EACCES, errno.EPERM):
        hint = "make its folder writable, or choose another one with --runs-dir"
    elif number in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        hint = "choose another folder with --runs-dir"
    elif number == errno.ENAMETOOLONG:
        hint = "choose a shorter name"
    return GanlabError(f"{what} cannot be written: {getattr(error, 'strerror', None) or error}", hint)


def closest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` was most likely meant to be, or None when nothing is near.

    >>> closest("gradient_cliping", ["clamp", "gradient_clipping"])
    'gradient_clipping'
    """
    names = list(choices)
    lowered = {name.lower(): name for name in names}
    found = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The half sentence that follows an unknown word: the closest right word, and all of them when they are few.

    >>> did_you_mean("rign", ["grid", "ring"])
    "did you mean 'ring'? (choices: grid, ring)"
    """
    names = sorted(set(choices))
    if not names:
        return "there are none to choose from"
    near = closest(word, names)
    listed = f"choices: {', '.join(names)}"
    return f"did you mean '{near}'? ({listed})" if near else listed
