"""What a person sees of a run in a notebook: one area, updated in place. IPython is there already when this is used; no more is needed.

All styles are inline, and both pictures are images: so a front end that trusts no notebook but its own (JupyterLab on opening it,
a web page that renders it) shows them as well. What has a colour of its own is readable on white and on black.
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

from ganlab.comparison.curves import COLOURS, GREY, svg
from ganlab.hookspecs import hookimpl
from ganlab.records.folder import step_of
from ganlab.screen.progress import Hearing, Progress

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

    from ganlab.runs.run import Run

SECONDS = 1.0  # between two updates, at least
SHARE = 0.005  # of the time that may go into updates
BYTES_PER_SECOND = 200_000  # a notebook server cuts off whoever sends more than a million
LARGEST = 150_000  # bytes of a sheet; a larger one is made smaller
SHEET = 300  # pixels of its width on the page
NOTES = 30  # paragraphs that are kept; run.json has them all

TINTS = {"training": "#1f83c4", "finished": "#2e9950", "interrupted": "#c98500", "failed": "#d9363e"}
FRAME = "rgba(128,128,128,.45)"


def cell() -> int | None:
    """The number of the notebook's cell that is being run; None where this is no Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    in_kernel = any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)  # Colab's is one, too
    return shell.execution_count if in_kernel else None


@dataclass
class Card:
    """What is known of a run, as a page shows it.

    Attributes:
        name: of the run. state: a key of TINTS.
        step, total: where it is, and its budget. facts: what stands beside that, such as the speed.
        progress: its numbers and losses.
        sheet: the latest sheet's file.
        notes: what it has told. rows: names and what they are called, below all else.
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
        """All of it; what is not known yet is left out."""
        parts = [self._head(), self._bar(), self._middle(), *(paragraph(note) for note in self.notes)]
        if self.rows:
            parts.append(table([(name, f"<code>{html.escape(value)}</code>") for name, value in self.rows.items()]))
        return f'<div style="max-width:860px;font-size:13px;line-height:1.5">{"".join(parts)}</div>'

    def plain(self) -> str:
        """The same in one line, for a front end without HTML."""
        return "  ".join(
            [f"{self.name}  {self.state}  step {self.step:,} of {self.total:,}", *(" ".join(v) for v in self.progress.values())]
        )

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
        drawn = svg(self.progress.losses)
        plot = legend() + image(drawn.encode(), "image/svg+xml", "both losses over the steps") if drawn else ""
        sheet = ""
        if self.sheet is not None:
            sheet = f'<div style="margin-bottom:8px">samples at step {step_of(self.sheet):,}{picture_of(self.sheet)}</div>'
        left = f'<div style="margin-right:28px">{values}{plot}</div>' if values or plot else ""
        return f'<div style="display:flex;flex-wrap:wrap">{left}{sheet}</div>'


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Names, and values in HTML; empty without rows."""
    style = "border:none;text-align:left;padding:1px 14px 1px 0"
    cells = "".join(
        f'<tr style="background:none"><td style="{style}"><b>{name}</b></td><td style="{style}">{text}</td></tr>' for name, text in rows
    )
    return f'<table style="border:none;border-collapse:collapse;margin:0 0 8px;font-size:13px">{cells}</table>' if rows else ""


def paragraph(text: str) -> str:
    """An announcement; what stands between backticks is code."""
    words = re.sub(r"`([^`]+)`", r'<code style="white-space:nowrap">\1</code>', html.escape(text, quote=False))
    return f'<p style="margin:6px 0;padding:2px 0 2px 10px;border-left:3px solid {TINTS["interrupted"]};white-space:pre-wrap">{words}</p>'


def legend() -> str:
    """Which curve is whose."""
    keys = zip(("discriminator's loss", "generator's loss"), COLOURS, strict=True)
    return "<div>" + " &nbsp; ".join(f'<span style="color:{colour}">&#9473;</span> {name}' for name, colour in keys) + "</div>"


def image(content: bytes, kind: str, alt: str, style: str = "") -> str:
    """A picture that the page holds itself."""
    data = base64.b64encode(content).decode()
    return f'<img alt="{alt}" style="display:block;margin:0;{style}" src="data:{kind};base64,{data}"/>'


def picture_of(sheet: Path) -> str:
    """A sheet of samples, at most LARGEST bytes of it; empty if it is gone."""
    from PIL import Image

    try:
        content = sheet.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            width = picture.width
            if len(content) > LARGEST:
                kept = io.BytesIO()
                picture.thumbnail((2 * SHEET, 4 * SHEET))
                picture.convert("RGB").save(kept, format="JPEG", quality=85)
                return image(kept.getvalue(), "image/jpeg", "samples", f"width:{SHEET}px")
    except OSError:
        return ""
    return image(content, "image/png", "samples", f"width:{SHEET}px" + (";image-rendering:pixelated" if width < SHEET else ""))


def to_go_on(run: Run) -> str:
    """What to type, in Python, to go on with a run that stopped."""
    tricks = ", tricks=[...]" if run.info.get("script_tricks") else ""
    return f'ganlab.resume("{run.path}"{tricks})'


class NotebookDisplay:
    """A watcher of a run that shows it in the output of the cell that trains it."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.progress = Progress()
        self.notes: list[str] = []
        self.sheet: Path | None = None
        self._handle: DisplayHandle | None = None
        self._due = 0.0  # when the next update may be
        self._showing = threading.RLock()  # a tracker tells things from a thread of its own
        self._hearing = Hearing(self.tell)

    def tell(self, text: str) -> None:
        """Show an announcement at once, and keep it."""
        self.notes.append(text)
        self._show("training")

    # -- hooks -------------------------------------------------------------------------------------------------------------

    @hookimpl
    def before_run(self, run: Run) -> None:
        self.run = run
        self.progress.begin(run)
        sheets = sorted(run.path.glob("samples/step_*.png"))
        self.sheet = sheets[-1] if sheets else None
        self._show("training")

    @hookimpl
    def after_step(self) -> None:
        if time.monotonic() >= self._due:
            self._show("training")

    @hookimpl
    def on_metrics(self, run: Run, step: int, metrics: dict[str, float]) -> None:
        self.progress.hear(run, step, metrics)

    @hookimpl
    def on_images(self, name: str, path: Path) -> None:
        if name == "samples":
            self.sheet = path

    # -- as a context ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> NotebookDisplay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._hearing.stop()
        if error is not None and self.run is not None:
            self._show("failed" if isinstance(error, Exception) else "interrupted", self._saved(self.run))

    # -- the area ----------------------------------------------------------------------------------------------------------

    def show_end(self, run: Run, status: str) -> None:
        """Where things are, and what to type next."""
        rows = {"run": str(run.path)}
        if status == "interrupted":
            rows["to go on"] = to_go_on(run)
        self._show(status, rows)

    def _saved(self, run: Run) -> dict[str, str]:
        """Up to where a run that ended badly is saved, and how to go on."""
        kept = run.checkpoints()
        saved = {"saved up to": kept[-1].name, "to go on": to_go_on(run)} if kept else {}
        return {"run": str(run.path), **saved}

    def _show(self, state: str, rows: dict[str, str] | None = None) -> None:
        from IPython.display import DisplayHandle

        with self._showing:
            begun = time.monotonic()
            content, plain = self._content(state, rows)
            bundle = {"text/html": content, "text/plain": plain}
            if self._handle is None:
                self._handle = DisplayHandle()
                self._handle.display(bundle, raw=True)
            else:
                self._handle.update(bundle, raw=True)
            now = time.monotonic()
            self._due = now + max(SECONDS, (now - begun) / SHARE, len(content) / BYTES_PER_SECOND)

    def _content(self, state: str, rows: dict[str, str] | None) -> tuple[str, str]:
        """The area as HTML and as text: the run, or before it begins only what was told."""
        earlier = len(self.notes) - NOTES
        notes = [*([f"... {earlier} earlier"] if earlier > 0 else []), *self.notes[-NOTES:]]
        if self.run is None:
            return "".join(paragraph(note) for note in notes), "\n".join(notes)
        run = self.run
        seconds = int(run.timetable.clock.seconds)
        took = f"{seconds // 60} min {seconds % 60} s"
        facts = [f"epoch {run.epoch:,}", self.progress.pace(run) if state == "training" else took, str(run.info["device_name"])]
        card = Card(
            run.recipe.name, state, run.step, run.total_steps, facts, self.progress, self.sheet, notes, rows or {"run": str(run.path)}
        )
        return card.html(), "\n".join([*notes, card.plain(), *(f"{name}: {value}" for name, value in (rows or {}).items())])
