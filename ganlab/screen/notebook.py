"""The display of a run in a notebook: one output area, updated in place. It needs IPython only, which every notebook has.

All styles are inline, and the plot and the sheet are images. So a front end that does not trust the notebook's HTML (JupyterLab when it
opens the notebook, a web page that renders it) shows them as well. All colours are readable on white and on black.
"""

from __future__ import annotations

import base64
import html
import io
import re
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ganlab.hookspecs import hookimpl
from ganlab.printable import printable
from ganlab.records.folder import step_of
from ganlab.redaction import redacted
from ganlab.screen.curves import COLOURS, GREY, svg
from ganlab.screen.progress import LogForwarder, Progress
from ganlab.storage.reading import PICTURE, read_bytes

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

    from ganlab.runs.run import Run

SECONDS = 1.0  # minimum time between two updates
SHARE = 0.005  # largest share of the time that may go into updates
BYTES_PER_SECOND = 200_000  # a notebook server drops output that exceeds a million
LARGEST = 150_000  # bytes of a sheet; a larger one is scaled down
SHEET = 300  # width of a sheet on the page, in pixels
NOTES = 30  # announcements that are shown; run.json has them all

TINTS = {"training": "#1f83c4", "finished": "#2e9950", "interrupted": "#c98500", "failed": "#d9363e"}
FRAME = "rgba(128,128,128,.45)"


def current_cell() -> int | None:
    """Return the number of the notebook cell that is running; None outside a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    in_kernel = any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)  # Colab's shell is a subclass
    return shell.execution_count if in_kernel else None


@dataclass
class Card:
    """The state of a run as HTML and as text.

    Attributes:
        name: of the run.
        state: a key of TINTS.
        step: the step that the run has reached. total: its budget in steps.
        facts: texts to show after the step, such as the speed.
        progress: its metrics and losses.
        sheet: file of the latest sheet of samples.
        notes: its announcements, shown below.
        rows: names and values of the table at the end, such as the run's folder.
    """

    name: str
    state: str
    step: int
    total: int
    facts: Sequence[str]
    progress: Progress
    sheet: Path | None = None
    notes: Sequence[str] = ()
    rows: dict[str, str] = field(default_factory=dict)

    def html(self) -> str:
        """Return the state as HTML. What is not known yet is left out."""
        parts = [self._head(), self._bar(), self._middle(), *(paragraph(note) for note in self.notes)]
        if self.rows:
            parts.append(table([(name, f"<code>{html.escape(value)}</code>") for name, value in self.rows.items()]))
        return f'<div style="max-width:860px;font-size:13px;line-height:1.5">{"".join(parts)}</div>'

    def plain(self) -> str:
        """Return the state as one line of text, for a front end without HTML."""
        return f"{self.name}  {self.state}  step {self.step:,} of {self.total:,}  {self.progress.line()}".rstrip()

    def _head(self) -> str:
        facts = " &nbsp; ".join(html.escape(text) for text in (f"step {self.step:,} of {self.total:,}", *self.facts) if text)
        dot = f'<span style="color:{TINTS.get(self.state, GREY)}">&#9679;</span>'
        return f"<div><b>{html.escape(self.name)}</b> &nbsp; {dot} <b>{html.escape(self.state)}</b> &nbsp; {facts}</div>"

    def _bar(self) -> str:
        share = 100 * self.step / max(self.total, 1)
        inner = f'<div style="height:6px;width:{share:.1f}%;background:{TINTS.get(self.state, GREY)}"></div>'
        return f'<div style="height:6px;margin:6px 0 10px;background:{FRAME}">{inner}</div>'

    def _middle(self) -> str:
        values = table([(name, html.escape(value)) for name, value in self.progress.values()])
        curves = svg(self.progress.losses)
        plot = legend() + image(curves.encode(), "image/svg+xml", "both losses over the steps") if curves else ""
        sheet = ""
        if self.sheet is not None:
            sheet = f'<div style="margin-bottom:8px">samples at step {step_of(self.sheet):,}{sheet_image(self.sheet)}</div>'
        left = f'<div style="margin-right:28px">{values}{plot}</div>' if values or plot else ""
        return f'<div style="display:flex;flex-wrap:wrap">{left}{sheet}</div>'


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Return an HTML table of names and values, which are HTML; empty without rows."""
    style = "border:none;text-align:left;padding:1px 14px 1px 0"
    cells = "".join(
        f'<tr style="background:none"><td style="{style}"><b>{name}</b></td><td style="{style}">{text}</td></tr>' for name, text in rows
    )
    return f'<table style="border:none;border-collapse:collapse;margin:0 0 8px;font-size:13px">{cells}</table>' if rows else ""


def paragraph(text: str) -> str:
    """Return an announcement as an HTML paragraph. Text between backticks becomes code."""
    words = re.sub(r"`([^`]+)`", r'<code style="white-space:nowrap">\1</code>', html.escape(text, quote=False))
    return f'<p style="margin:6px 0;padding:2px 0 2px 10px;border-left:3px solid {TINTS["interrupted"]};white-space:pre-wrap">{words}</p>'


def legend() -> str:
    """Return the legend of the plot of losses."""
    keys = zip(("discriminator's loss", "generator's loss"), COLOURS, strict=True)
    return "<div>" + " &nbsp; ".join(f'<span style="color:{colour}">&#9473;</span> {name}' for name, colour in keys) + "</div>"


def image(content: bytes, kind: str, alt: str, style: str = "") -> str:
    """Return an image element that holds the picture's bytes itself, as a data URL. ``kind`` is its media type."""
    data = base64.b64encode(content).decode()
    return f'<img alt="{alt}" style="display:block;margin:0;{style}" src="data:{kind};base64,{data}"/>'


def sheet_image(sheet: Path) -> str:
    """Return a sheet of samples as an image element, scaled down if it has more than LARGEST bytes; empty if it cannot be read."""
    from PIL import Image

    try:
        content = read_bytes(sheet, PICTURE)
        with Image.open(io.BytesIO(content)) as picture:
            width = picture.width
            if len(content) > LARGEST:
                smaller = io.BytesIO()
                picture.thumbnail((2 * SHEET, 4 * SHEET))
                picture.convert("RGB").save(smaller, format="JPEG", quality=85)
                return image(smaller.getvalue(), "image/jpeg", "samples", f"width:{SHEET}px")
    except OSError:
        return ""
    return image(content, "image/png", "samples", f"width:{SHEET}px" + (";image-rendering:pixelated" if width < SHEET else ""))


def resume_call(run: Run) -> str:
    """Return the Python call that resumes a stopped run."""
    tricks = ", tricks=[...]" if run.info.get("script_tricks") else ""
    return f'ganlab.resume("{run.path}"{tricks})'


class NotebookDisplay:
    """A watcher that shows a run in the output of the notebook cell that trains it. Use it in a ``with`` statement."""

    only_watches = True

    def __init__(self) -> None:
        self.run: Run | None = None
        self.progress = Progress()
        self.notes: list[str] = []
        self.sheet: Path | None = None
        self._handle: DisplayHandle | None = None
        self._next_update = 0.0  # earliest time of the next update
        self._update_lock = threading.RLock()  # a tracker announces things from its own thread
        self._log_forwarder = LogForwarder(self.tell)

    def tell(self, text: str) -> None:
        """Show an announcement at once, and keep it."""
        self.notes.append(text)
        self._show("training")

    # -- hooks -------------------------------------------------------------------------------------------------------------

    @hookimpl
    def before_run(self, run: Run) -> None:
        self.run = run
        self.progress.start(run)
        sheets = sorted(run.path.glob("samples/step_*.png"))
        self.sheet = sheets[-1] if sheets else None
        self._show("training")

    @hookimpl
    def after_step(self) -> None:
        if time.monotonic() >= self._next_update:
            self._show("training")

    @hookimpl
    def on_metrics(self, run: Run, step: int, metrics: dict[str, float]) -> None:
        self.progress.update(run, step, metrics)

    @hookimpl
    def on_images(self, name: str, path: Path) -> None:
        if name == "samples":
            self.sheet = path

    # -- as a context ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> NotebookDisplay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._log_forwarder.stop()
        if error is not None and self.run is not None:
            self._show("failed" if isinstance(error, Exception) else "interrupted", self._end_rows(self.run))

    # -- the output area ---------------------------------------------------------------------------------------------------

    def show_end(self, run: Run, status: str) -> None:
        """Show how the run ended, where its folder is, and how to resume it if it was interrupted."""
        rows = {"run": str(run.path)}
        if status == "interrupted":
            rows["to resume"] = resume_call(run)
        self._show(status, rows)

    def _end_rows(self, run: Run) -> dict[str, str]:
        """Return the rows for a run that an exception ended: its last checkpoint, and how to resume it."""
        checkpoints = run.checkpoints()
        resumable = {"last checkpoint": checkpoints[-1].name, "to resume": resume_call(run)} if checkpoints else {}
        return {"run": str(run.path), **resumable}

    def _show(self, state: str, rows: dict[str, str] | None = None) -> None:
        from IPython.display import DisplayHandle

        with self._update_lock:
            began = time.monotonic()
            content, plain = self._content(state, rows)
            bundle = {"text/html": printable(redacted(content)), "text/plain": printable(redacted(plain))}
            if self._handle is None:
                self._handle = DisplayHandle()
                self._handle.display(bundle, raw=True)
            else:
                self._handle.update(bundle, raw=True)
            now = time.monotonic()
            self._next_update = now + max(SECONDS, (now - began) / SHARE, len(content) / BYTES_PER_SECOND)

    def _content(self, state: str, rows: dict[str, str] | None) -> tuple[str, str]:
        """Return the output area as HTML and as text: the state of the run or, before it begins, only the announcements."""
        earlier = len(self.notes) - NOTES
        notes = [*([f"... {earlier} earlier"] if earlier > 0 else []), *self.notes[-NOTES:]]
        if self.run is None:
            return "".join(paragraph(note) for note in notes), "\n".join(notes)
        run = self.run
        seconds = int(run.timetable.clock.seconds)
        duration = f"{seconds // 60} min {seconds % 60} s"
        facts = [f"epoch {run.epoch:,}", self.progress.pace(run) if state == "training" else duration, str(run.info["device_name"])]
        card = Card(
            run.recipe.name, state, run.step, run.total_steps, facts, self.progress, self.sheet, notes, rows or {"run": str(run.path)}
        )
        return card.html(), "\n".join([*notes, card.plain(), *(f"{name}: {value}" for name, value in (rows or {}).items())])
