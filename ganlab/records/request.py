"""A request to use an existing run: which command, with which overrides and permissions."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunRequest:
    """A request to use an existing run.

    Attributes:
        overrides: ``"a.b=c"``, as from ``--set``, laid over the run's recipe.
        changed: accept a recipe and plugin files that are not the ones the run was trained with (``--changed``).
        trust: run the code and follow the paths in the run's folder, even if somebody else made it (``--trust``).
        command: the name of the command: ``resume``, ``sync`` or ``evaluate``.
    """

    overrides: tuple[str, ...] = ()
    changed: bool = False
    trust: bool = False
    command: str = "resume"

    def command_line(self, run: Path, *, changed: bool = False, trust: bool = False) -> str:
        """This request as a complete command to copy, in backticks; ``changed`` and ``trust`` add their flags."""
        flags = [*(["--changed"] if changed or self.changed else []), *(["--trust"] if trust or self.trust else [])]
        sets = [word for text in self.overrides for word in ("--set", text)]
        return f"`{shlex.join(['ganlab', self.command, str(run), *flags, *sets])}`"

    @property
    def keys(self) -> set[str]:
        """The dotted keys that the overrides set."""
        return {text.partition("=")[0].strip() for text in self.overrides}
