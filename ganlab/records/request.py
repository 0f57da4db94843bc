"""How a run should go on, and the command that says so."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunRequest:
    """How a run should go on.

    Attributes:
        overrides: ``"a.b=c"``, as from ``--set``, laid over the run's recipe.
        changed: go on although its recipe or its plugin files are no longer those that it was trained with.
        trust: run and follow what its folder holds, though somebody else may have made it.
        command: its name: ``resume``, ``sync`` or ``evaluate``.
    """

    overrides: tuple[str, ...] = ()
    changed: bool = False
    trust: bool = False
    command: str = "resume"

    def command_line(self, run: Path, *, changed: bool = False, trust: bool = False) -> str:
        """The command for this request, with more flags than it has: to be copied, so nothing is left out of it."""
        flags = [*(["--changed"] if changed or self.changed else []), *(["--trust"] if trust or self.trust else [])]
        sets = [word for text in self.overrides for word in ("--set", text)]
        return f"`{shlex.join(['ganlab', self.command, str(run), *flags, *sets])}`"

    @property
    def keys(self) -> set[str]:
        """The keys that it sets."""
        return {text.partition("=")[0].strip() for text in self.overrides}
