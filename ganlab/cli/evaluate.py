"""``ganlab evaluate``: measure how good the samples of runs are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from ganlab.cli.exit_codes import INTERRUPTED
from ganlab.numbers import number
from ganlab.records.request import RunRequest
from ganlab.records.summaries import RunSummary, find_run
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.evaluate import Measured, evaluate_run
from ganlab.runs.workspace import Workspace
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import show_facts, show_json, show_lines, show_table, warn

ARROWS = {"higher": "higher is better", "lower": "lower is better", "neither": ""}


def evaluate(
    names: list[str], overrides: list[str], *, checkpoint: str, trust: bool, runs_dir: Path, data_root: Path | None, as_json: bool
) -> None:
    """Measure runs, one after the other, and show the numbers of each."""
    summaries = [find_run(runs_dir, name) for name in names]  # a wrong name is refused before anything is measured
    json_reports: list[dict[str, Any]] = []
    done: list[RunSummary] = []
    for summary in summaries:
        catalogue = Catalogue.of_installed(announce_plugin_files(warn))
        workspace = Workspace(summary.folder.path.parent, data_root, warn)
        try:
            measured = evaluate_run(
                summary, catalogue, workspace, RunRequest(tuple(overrides), trust=trust, command="evaluate"), checkpoint
            )
        except KeyboardInterrupt:
            _stop(summaries[len(done) :], done)
        done.append(summary)
        if as_json:
            report = measured.report
            about = {"about": report.about, "not_measured": report.missing}
            later = {} if measured.current_step is None else {"gone_on_to_step": measured.current_step}
            json_reports.append({"run": summary.id, "step": measured.step, **later, "values": report.values, **about})
        else:
            show(measured)
    if as_json:
        show_json(json_reports)


def _stop(left: list[RunSummary], done: list[RunSummary]) -> NoReturn:
    """After Ctrl-C, say which runs have been measured and which have not, and end the process."""
    names = ", ".join(summary.id for summary in left)
    measured = f"; measured: {', '.join(summary.id for summary in done)}" if done else ""
    warn(f"stopped. Not measured, and unchanged: {names}{measured}")
    raise SystemExit(INTERRUPTED)


def show(measured: Measured) -> None:
    """Print the numbers of one run, and what they were measured on."""
    report = measured.report
    later = "" if measured.current_step is None else f" (the run is at step {measured.current_step:,} now)"
    show_lines("", f"{measured.run.id}, step {measured.step:,}{later}", "")
    if report.values:
        show_table([(name, number(value), ARROWS[report.better[name]]) for name, value in report.values.items()], right=[1])
    else:
        show_lines("nothing could be measured")
    facts = {name.replace("_", " "): _fact(value) for name, value in report.about.items()}
    show_lines("")
    show_facts(facts | {"seconds": f"{report.seconds:.1f}"} | {f"no {name}": why for name, why in report.missing.items()})
    if measured.written:
        show_facts({"written": measured.run.folder.evaluation})


def _fact(value: str | int | float) -> str:
    """Format what a metric reports about its measurement: counts in full, other numbers with three digits."""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else number(value)
