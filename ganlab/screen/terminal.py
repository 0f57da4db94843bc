"""Output in the terminal: messages, tables, and the live display of a run. Imports no torch."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shlex
import time
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ganlab.errors import GanlabError, RecipeError
from ganlab.hookspecs import hookimpl
from ganlab.numbers import in_words
from ganlab.printable import one_line, printable
from ganlab.redaction import redacted, redacted_document
from ganlab.screen.progress import LogForwarder, Progress

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from ganlab.runs.run import Run


class SafeConsole(Console):
    """A console whose text cannot harm: no control character of a text reaches the terminal, and no password.

    It goes silent when its output cannot be written (a closed pipe, a full disk), so that a run continues.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of ``renderable`` as rich does, with safe texts. All that this console prints comes through here."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(redacted(segment.text)))

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, but ignore every OSError."""
        with contextlib.suppress(OSError):
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Go silent. Rich would end the process."""
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


#: All that ganlab prints goes through these two: a text may come from a stranger's recipe or run folder.
console = SafeConsole()
errors = SafeConsole(stderr=True)

_LABEL = re.compile(r"\n(?=\s*(?:error|hint|note):)")
SECONDS_BETWEEN_LINES = 10.0  # where the output is not a terminal
REDRAWS_PER_SECOND = 2.0  # each redraw takes about 5 ms from the training
PICTURE_COLUMNS, PICTURE_ROWS = 96, 24  # in characters; each shows two pixels, one above the other


def show_error(error: GanlabError) -> None:
    """Print an error: what is wrong, and what to do."""
    if isinstance(error, RecipeError) and len(error.mistakes) > 1:
        errors.print(Text(f"error: {len(error.mistakes)} mistakes", style="bold red"))
        for mistake in error.mistakes:
            errors.print(Text(f"  {one_line(mistake)}"))
    else:
        message = one_line(error.message) if isinstance(error, RecipeError) else _indented(error.message)
        errors.print(Text("error: ", style="bold red") + Text(message))
    if error.hint:
        errors.print(Text("hint: ", style="bold cyan") + Text(_without_labels(error.hint)))


def warn(text: str) -> None:
    """Print an announcement to stderr: one paragraph that a person must see."""
    errors.print(Text("note: ", style="bold yellow") + Text(_indented(text)))


def show_lines(*lines: str) -> None:
    """Print plain lines."""
    for line in lines:
        console.print(Text(_indented(line)))


def show_json(value: object) -> None:
    """Print a value as JSON, which escapes control characters itself, and nothing else."""
    with contextlib.suppress(OSError):
        print(json.dumps(redacted_document(value), indent=2), file=console.file)


def write_at_once(text: str) -> None:
    """Write text to stderr in one system call: for a handler of signals, in which rich might wait for its own lock."""
    os.write(2, printable(redacted(text)).encode())


def confirmed(question: str) -> bool:
    """Ask a person a question, and return whether the answer is yes."""
    return click.confirm(one_line(redacted(question)))


def _indented(text: str) -> str:
    """``text`` with all lines but the first indented: a name with a line break in it must not look like a message of ganlab."""
    return printable(text).replace("\n", "\n  ")


def _without_labels(hint: str) -> str:
    """A hint of several lines, none of which begins as a message of ganlab."""
    return _LABEL.sub("\n  ", printable(hint))


def show_table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    """Print rows in aligned columns; the columns in ``right`` are aligned right. Nothing is cut, since names are there to be copied."""
    rows = [[one_line(redacted(cell)) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        columns = enumerate(zip(row, widths, strict=True))
        cells = [cell.rjust(width) if number in right else cell.ljust(width) for number, (cell, width) in columns]
        show_lines("  ".join(cells).rstrip())


def command(run: Run, *words: str) -> str:
    """Return a command for a run, such as ``ganlab resume ID``, with ``--runs-dir`` where it is not the default."""
    words = ("ganlab", *words)
    return shlex.join([*words, *([] if str(run.path.parent) == "runs" else ["--runs-dir", str(run.path.parent)])])


def show_facts(facts: dict[str, Any]) -> None:
    """Print names and values, aligned. Values are never cut, since paths are there to be copied."""
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        console.print(Text(f"{name:<{width}}", style="bold") + Text(one_line(redacted(str(value)))))


class Display:
    """A watcher that shows a run: live in a terminal, as plain lines elsewhere, as one line at the end if ``quiet``.

    Use it in a ``with`` statement, which restores the terminal.
    """

    only_watches = True

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.run: Run | None = None
        self.progress = Progress()
        self.picture: np.ndarray | None = None
        self._live: Live | None = None
        self._last_line = 0.0
        self._log_forwarder = LogForwarder(self.tell, logging.WARNING if quiet else logging.INFO)

    def tell(self, text: str) -> None:
        """Show an announcement, above the live display if there is one."""
        target = self._live.console if self._live is not None else errors
        target.print(Text("note: ", style="bold yellow") + Text(_indented(text)))

    # -- hooks -------------------------------------------------------------------------------------------------------------

    @hookimpl
    def before_run(self, run: Run) -> None:
        self.run = run
        self.progress.start(run)
        self._last_line = time.monotonic() - SECONDS_BETWEEN_LINES  # the first line is printed at once
        if self.quiet:
            return
        verb = f"resumes from step {run.step:,}" if run.resumed_from is not None else f"trains {run.total_steps:,} steps"
        show_lines(f"{run.recipe.name} {verb} on {run.device} ({run.info['device_name']}), data {run.recipe.data.use}, in {run.path}")
        if console.is_terminal:
            self._live = Live(get_renderable=self._panel, console=console, refresh_per_second=REDRAWS_PER_SECOND, transient=False)
            self._live.start()

    @hookimpl
    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        assert self.run is not None
        if not self.progress.update(self.run, step, metrics):
            return
        now = time.monotonic()
        if not self.quiet and self._live is None and (now - self._last_line >= SECONDS_BETWEEN_LINES or step == self.run.total_steps):
            self._last_line = now
            show_lines(f"step {step:,} of {self.run.total_steps:,}  {self.progress.pace(self.run)}  {self.progress.line()}")

    @hookimpl
    def on_images(self, name: str, picture: np.ndarray) -> None:
        if name == "samples":
            self.picture = picture

    @hookimpl
    def after_run(self) -> None:
        self._stop_live()

    # -- as a context ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop_live()
        self._log_forwarder.stop()

    def _stop_live(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            with contextlib.suppress(Exception):
                live.stop()

    # -- pictures and words ------------------------------------------------------------------------------------------------

    def show_end(self, run: Run, status: str) -> None:
        """Show how the run ended: the last sheet, the paths of its files, and what to type next."""
        if self.quiet:
            show_lines(f"{run.path}  {status}  step {run.step:,} of {run.total_steps:,}  {self.progress.line()}")
            return
        if console.is_terminal and self.picture is not None:
            console.print(HalfBlocks(self.picture, crop=len(run.dataset.shape) > 1))
        sheets = sorted(run.path.glob("samples/*.png"))
        facts = {"run": run.path, "samples": sheets[-1] if sheets else "none yet", "losses": _path_if_made(run.path / "losses.png")}
        if run.evaluations.final is not None:
            facts |= {"quality": in_words(run.evaluations.final.values) or "nothing could be measured"}
        facts |= {"generator": _path_if_made(run.path / "generator.safetensors"), "checkpoints": run.path / "checkpoints"}
        minutes, seconds = divmod(round(run.timetable.clock.seconds), 60)
        show_lines("", f"{status} at step {run.step:,} of {run.total_steps:,} after {minutes} min {seconds} s")
        show_facts(facts)
        next_commands = {"to resume": ("resume", run.id)} if status == "interrupted" else {}
        for choice in run.recipe.tricks:
            next_commands |= {purpose: (name,) for purpose, name in getattr(choice.entry.factory, "next_commands", {}).items()}
        if next_commands:
            show_lines("")
            show_table([(f"{purpose}:", command(run, *words)) for purpose, words in next_commands.items()])

    def _panel(self) -> Group:
        run = self.run
        assert run is not None
        bar = Table.grid(padding=(0, 2))
        bar.add_row(ProgressBar(total=run.total_steps, completed=run.step, width=40), Text(f"{run.step / run.total_steps:.0%}"))
        grid = Table.grid(padding=(0, 2))
        grid.add_row(Text("step", style="bold"), Text(f"{run.step:,} of {run.total_steps:,}, epoch {run.epoch:,}"))
        grid.add_row(Text("speed", style="bold"), Text(self.progress.pace(run)))
        for label, value in self.progress.values():
            grid.add_row(Text(label, style="bold"), Text(value))
        return Group(bar, grid)


class HalfBlocks:
    """A picture drawn in characters. Each is an upper half block whose colour is one pixel and whose background the pixel below."""

    def __init__(self, picture: np.ndarray, crop: bool) -> None:
        self.picture, self.crop = picture, crop

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.color_system is None or console.no_color:  # without colours, half blocks show nothing
            return
        from PIL import Image
        from rich.color import Color
        from rich.style import Style

        height, width = self.picture.shape[:2]
        columns = min(options.max_width, PICTURE_COLUMNS)
        if not self.crop:  # a scatter plot is shown whole
            columns = min(columns, 2 * PICTURE_ROWS * width // height)
        rows = max(2, columns * height // width)
        small = Image.fromarray(self.picture).resize((columns, rows), Image.Resampling.BOX)
        pixels = small.load()
        assert pixels is not None
        for row in range(0, min(rows, 2 * PICTURE_ROWS) - 1, 2):
            for column in range(columns):
                upper, lower = pixels[column, row], pixels[column, row + 1]
                yield Segment("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))  # type: ignore[misc]
            yield Segment.line()


def _path_if_made(path: Path) -> str:
    return str(path) if path.exists() else "not made"
