"""A comparison as a self-contained HTML page: verdicts, metrics, differing options, curves, samples, and the runs."""

from __future__ import annotations

import base64
import html
import io
import time
from collections.abc import Sequence
from pathlib import Path

from ganlab.comparison.groups import NOT_THERE, RunGroup, differences
from ganlab.comparison.table import metric_rows, verdict_rows
from ganlab.comparison.warnings import warnings
from ganlab.printable import printable
from ganlab.records.results import RunResult
from ganlab.redaction import redacted
from ganlab.storage.reading import PICTURE, read_bytes

#: The curves that come first, where runs have them. Those of ``quality/`` follow.
CURVES = ("loss/discriminator", "loss/generator")
SHEETS = 5  # of each group; the sheets of further seeds are left out
COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c", "#ccb974", "#64b5cd")

SIGN = '<meta name="generator" content="ganlab compare">'
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; } td, th { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
.sheets { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; } figcaption { font-size: .85rem; opacity: .75; }
.sheets img { width: 230px; image-rendering: pixelated; border-radius: 4px; }
.curves img { max-width: 100%; background: #fff; border-radius: 4px; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; }
.dot { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .4em; } .note { opacity: .75; }
"""


def page(groups: Sequence[RunGroup], metric: str | None) -> str:
    """The HTML of the whole page.

    Args:
        groups: what is compared; the others are compared with the first.
        metric: the metric of the verdicts; None where no run was evaluated.
    """
    title = " · ".join(group.name for group in groups)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f"{SIGN}<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{sum(len(group.results) for group in groups)} runs, {time.strftime("%Y-%m-%d %H:%M")}</p>',
        _verdicts(groups, metric),
        _numbers(groups),
        _options(groups),
        _curves(groups),
        _sheets(groups),
        _runs(groups),
        "</body></html>",
    ]
    return "\n".join(parts)


def _verdicts(groups: Sequence[RunGroup], metric: str | None) -> str:
    if metric is None or len(groups) < 2:
        return ""
    return f"<h2>Verdict, by {escape(metric.replace('_', ' '))}</h2>" + _table(verdict_rows(groups, metric))


def _numbers(groups: Sequence[RunGroup]) -> str:
    about = [result.about for group in groups for result in group.results if result.about]
    counts = sorted({int(facts["samples"]) for facts in about if "samples" in facts})
    words = [f"{' or '.join(f'{count:,}' for count in counts)} samples of each run"] if counts else []
    words += [f"judged by {judge}" for judge in dict.fromkeys(str(facts["judge"]) for facts in about if "judge" in facts)]
    note = f'<p class="note">Mean ± standard deviation over seeds; {escape("; ".join(words))}.</p>' if words else ""
    note += "".join(f"<p><strong>{escape(text)}</strong></p>" for text in warnings(groups))
    rows = metric_rows(groups)
    return f"<h2>What was measured</h2>{note}{_table(rows, numbers=True)}" if len(rows) > 1 else "<p>No run has been evaluated yet.</p>"


def _options(groups: Sequence[RunGroup]) -> str:
    changing = differences(groups)
    if not changing:
        return "<h2>What differs in the recipes</h2><p>Nothing.</p>" if len(groups) > 1 else ""
    rows = [["option", *(group.name for group in groups)]]
    rows += [[key, *(str(value) for value in values)] for key, values in changing.items()]
    note = f'<p class="note">{NOT_THERE} where a recipe has no such option.</p>'
    return f"<h2>What differs in the recipes</h2>{note}{_table(rows)}"


def _curves(groups: Sequence[RunGroup]) -> str:
    known = {name for group in groups for result in group.results for name in result.curves}
    names = [*(name for name in CURVES if name in known), *sorted(name for name in known if name.startswith("quality/"))]
    if not names:
        return ""
    legend = " ".join(
        f'<span class="dot" style="background:{COLOURS[number % len(COLOURS)]}"></span>{escape(group.name)} &nbsp;'
        for number, group in enumerate(groups)
    )
    pictures = "".join(f'<img alt="{escape(name)}" src="{_inline(_curve(groups, name), "image/svg+xml")}">' for name in names)
    return (
        f'<h2>Curves</h2><p>{legend}</p><p class="note">Thin: one run. Thick: the mean over seeds.</p><div class="curves">{pictures}</div>'
    )


def _curve(groups: Sequence[RunGroup], name: str) -> bytes:
    """The curves of one metric as an SVG document: a thin line for each run, a thick line for the mean of each group."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.0), layout="constrained")
    axes = figure.subplots()
    for number, group in enumerate(groups):
        colour = COLOURS[number % len(COLOURS)]
        curves = [result.curves[name] for result in group.results if name in result.curves]
        for curve in curves:
            axes.plot([step for step, _ in curve], [value for _, value in curve], color=colour, linewidth=0.7, alpha=0.5)
        mean = _mean(curves)
        axes.plot([step for step, _ in mean], [value for _, value in mean], color=colour, linewidth=2)
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("step", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _mean(curves: Sequence[list[tuple[int, float]]]) -> list[tuple[int, float]]:
    """The mean of the curves, at the steps that all of them have."""
    if not curves:
        return []
    tables = [dict(curve) for curve in curves]
    steps = sorted(set(tables[0]).intersection(*tables[1:]))
    return [(step, sum(table[step] for table in tables) / len(tables)) for step in steps]


def _sheets(groups: Sequence[RunGroup]) -> str:
    parts = []
    for group in groups:
        figures = []
        for result in group.results[:SHEETS]:
            content = _sheet(result)
            if content is not None:
                source = _inline(content, "image/png")
                words = f"seed {result.seed}" + (f", collapsed: {result.collapsed}" if result.collapsed else "")
                figures.append(f'<figure><img alt="samples" src="{source}"><figcaption>{escape(words)}</figcaption></figure>')
        if figures:
            parts.append(f'<h3>{escape(group.name)}</h3><div class="sheets">{"".join(figures)}</div>')
    return f"<h2>Samples at the end</h2>{''.join(parts)}" if parts else ""


def _sheet(result: RunResult) -> bytes | None:
    """The last sheet of samples, as PNG; None where there is none that can be read."""
    try:
        return None if result.last_sheet is None else read_bytes(result.last_sheet, PICTURE)
    except OSError:
        return None


def _runs(groups: Sequence[RunGroup]) -> str:
    rows = [["run", "recipe", "seed", "status", "step", "minutes"]]
    for group in groups:
        for result in group.results:
            step = result.info.counters.get("step", 0)
            rows.append([result.id, group.name, str(result.seed), result.status, f"{step:,}", f"{result.minutes:.1f}"])
    return f"<h2>Runs</h2>{_table(rows)}"


def _table(rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """An HTML table of text. The first row has the headings; with ``numbers`` all columns but the first are right-aligned."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    kind = ' class="number"' if numbers else ""
    body = "".join(
        "<tr>" + "".join(f"<td{kind if index else ''}>{escape(cell)}</td>" for index, cell in enumerate(row)) + "</tr>" for row in rows[1:]
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def escape(text: str) -> str:
    """Text as HTML, without passwords and control characters."""
    return html.escape(printable(redacted(text)))


def _inline(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def is_page(path: Path) -> bool:
    """Whether a file is empty or such a page, so that it may be replaced."""
    with open(path, encoding="utf-8", errors="replace") as file:
        beginning = file.read(10_000)
    return not beginning or SIGN in beginning


def write_page(path: Path, groups: Sequence[RunGroup], metric: str | None) -> None:
    """Write the page.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(page(groups, metric), encoding="utf-8")
