"""What a command of a plugin may use: options that ganlab's commands share, the runs on disk, signal handlers, and printing.

A plugin brings a command with an entry point of the group ``ganlab.commands``. Its name is what people type, its value a click command.
ganlab imports the command when it is called, not for ``ganlab --help``. This module is fast to import, and imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganlab.signal_handlers import STOPPING as STOPPING
from ganlab.signal_handlers import handle_signals as handle_signals

if TYPE_CHECKING:
    from ganlab.records.summaries import RunSummary

RUNS_DIR = click.option("--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of all runs.")
DATA_ROOT = click.option(
    "--data-root", type=click.Path(path_type=Path), help="Folder of the data sets.  [default: $GANLAB_DATA, else the cache folder]"
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the recipe, e.g. train.steps=500 or generator.optimizer.lr=1e-4.",
)
TRUST = click.option("--trust", is_flag=True, help="Run the plugin files of a run folder that came from elsewhere, and follow its paths.")
FORCE = click.option("--force", is_flag=True, help="Replace existing files.")
CHECKPOINT = click.option("--checkpoint", default="", metavar="WHICH", help="last, best or a step, instead of the end of the training.")
QUIET = click.option("--quiet", "-q", is_flag=True, help="Print only warnings, and one line at the end.")


@dataclass(frozen=True)
class RunRecord:
    """What is on disk about one run.

    Attributes:
        id: the name of its folder.
        path: its folder.
        status: ``"finished"``, ``"interrupted"``, ``"failed"``, ``"running"``, ``"closing"`` (trained, and its last files are made)
            or ``"new"``.
        info: the content of its run.json.
        is_copy: whether the folder is a copy of another run's, and has not been resumed or synced as a run of its own.
        locked: whether another process is writing it, for instance one that is about to resume it.
    """

    id: str
    path: Path
    status: str
    info: dict[str, Any]
    locked: bool
    is_copy: bool = False

    @classmethod
    def _of(cls, summary: RunSummary) -> RunRecord:
        from ganlab.records.copies import is_copy

        folder, info = summary.folder, summary.info
        return cls(summary.id, folder.path, summary.status, info.as_dict(), folder.locked_elsewhere(), is_copy(folder, info))


def list_runs(runs_dir: Path) -> list[RunRecord]:
    """Return the runs in the folder ``runs_dir``, oldest first, without those whose run.json cannot be read."""
    from ganlab.records import summaries

    return [RunRecord._of(summary) for summary in summaries.list_runs(runs_dir)]


def damaged_runs(runs_dir: Path) -> list[str]:
    """Return one message for each run in the folder ``runs_dir`` whose run.json cannot be read."""
    from ganlab.records import summaries

    return summaries.damaged_runs(runs_dir)


def find_run(runs_dir: Path, name: str) -> RunRecord:
    """Return the run that a person names: by its folder, its id, four or more characters of the id's beginning or end, or ``last``.

    Raises:
        ganlab.UsageError: no run in ``runs_dir`` has this name, or more than one.
    """
    from ganlab.records import summaries

    return RunRecord._of(summaries.find_run(runs_dir, name))


def show_lines(*lines: str) -> None:
    """Print lines. Control characters, which somebody else's run folder may hold, are shown escaped; passwords in URIs are not shown."""
    from ganlab.screen import terminal

    terminal.show_lines(*lines)


def show_table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    """Print rows in aligned columns; the columns whose numbers are in ``right`` are aligned right. Texts as in :func:`show_lines`."""
    from ganlab.screen import terminal

    terminal.show_table(rows, right)


def warn(text: str) -> None:
    """Print one paragraph that a person must see to stderr. Text as in :func:`show_lines`."""
    from ganlab.screen import terminal

    terminal.warn(text)
