"""Runs in a notebook: a real kernel executes the shipped example and some cells of its own, and its outputs are looked at."""

from __future__ import annotations

import base64
import doctest
import io
import json
import math
import re
import subprocess
import sys
import threading
import time
import types
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import nbclient
import nbformat
import numpy as np
import pytest
from PIL import Image

import ganlab
from ganlab.pictures import save_png
from ganlab.screen import curves, notebook
from ganlab.screen.curves import POINTS, Curves, svg
from ganlab.screen.progress import LogForwarder, Progress

EXAMPLE = Path(__file__).parent.parent / "docs/examples/first_run.ipynb"
SMALL = {"train.steps": 40, "train.log_every": 5, "data.samples": 2_000, "tracking.enabled": False, "tricks.system_metrics.enabled": False}

STOPPED = f"""
import os, signal

class Stop:  # as the stop button of a notebook does
    @ganlab.hookimpl
    def after_step(self, run, step):
        if step == 12:
            run.announce("a word to <you>: `--set a.b=1`")
            os.kill(os.getpid(), signal.SIGINT)

small = {SMALL!r}
stopped = ganlab.run("ring", small, tricks=[Stop()])
"""
AT_ONCE = """
class Twice(Stop):  # pressed again, before the step is over
    @ganlab.hookimpl
    def after_step(self, run, step):
        if step == 12:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

ganlab.run("ring", {**small, "train.checkpoint_every": 10}, tricks=[Twice()])
"""
SICK = """
class Sick:
    @ganlab.hookimpl
    def after_step(self, step):
        if step == 8:
            raise ValueError("a mistake of its own")

ganlab.run("ring", small, tricks=[Sick()])
"""
CELLS = {
    "stopped": STOPPED,
    "resumed": "ganlab.resume(stopped.path, changed=True)",
    "at once": AT_ONCE,
    "sick": SICK,
    "mistakes": 'ganlab.run("rign", small)',
    "two mistakes": 'ganlab.run("ring", {"train.stepz": 5, "generator.hidden": "wide"})',
    "traceback": 'import sys, traceback\nprint("ganlab/recipe/" in "".join(traceback.format_tb(sys.last_traceback)))',
    "hidden": 'ganlab.run("ring", small, display=False)',
}


kernel = pytest.mark.slow  # one kernel runs for half a minute, for all tests that look at its outputs


class Client(nbclient.NotebookClient):
    """Counts the messages by which a cell's output grows or changes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.messages: Counter[tuple[int, str]] = Counter()
        super().__init__(*args, **options)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        self.messages[cell_index, msg["msg_type"]] += 1
        return super().process_message(msg, cell, cell_index)


class Executed:
    """The outputs of all cells: those of the example by their number among its code cells, the others by name."""

    def __init__(self, folder: Path) -> None:
        book = nbformat.read(EXAMPLE, as_version=4)
        assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in book.cells), "outputs are not committed"
        names: list[int | str] = [*range(sum(cell.cell_type == "code" for cell in book.cells)), *CELLS]
        book.cells += [nbformat.v4.new_code_cell(source, metadata={"tags": ["raises-exception"]}) for source in CELLS.values()]
        client = Client(book, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
        client.execute()
        places = [place for place, cell in enumerate(book.cells) if cell.cell_type == "code"]
        self.outputs = {name: book.cells[place].outputs for name, place in zip(names, places, strict=True)}
        self.updates = {name: client.messages[place, "update_display_data"] for name, place in zip(names, places, strict=True)}

    def area(self, name: int | str) -> str:
        """The HTML of the one live area of a cell."""
        (found,) = [output.data["text/html"] for output in self.outputs[name] if output.output_type == "display_data"]
        return str(found)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("PYTHONWARNINGS", "error::UserWarning")
        return Executed(folder)


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page).replace("&nbsp;", " "))


def pictures(page: str) -> dict[str, bytes]:
    return {alt: base64.b64decode(data) for alt, data in re.findall(r'<img alt="([^"]+)"[^>]* src="data:[^,]+,([^"]+)"', page)}


# -- in a kernel -----------------------------------------------------------------------------------------------------------


@kernel
def test_a_run_has_one_area_that_is_updated_in_place(executed: Executed) -> None:
    (output,) = executed.outputs[0]
    assert output.output_type == "display_data"
    assert 2 <= executed.updates[0] <= 60  # the last and some more: once in a second, not in each of 1,500 steps
    text = text_of(executed.area(0))
    assert re.match(r" ring ● finished step 1,500 of 1,500 epoch \d+ 0 min \d+ s ", text.replace("&#9679;", "●")), text
    assert re.search(r"D loss \d\.\d{3} G loss \d\.\d{3} D\(x\) 0\.\d{3} D\(G\(z\)\) 0\.\d{3} D right on real/fake \d+%/\d+%", text)
    assert re.search(r"samples at step 1,500 run runs/[\d-]+-ring-\w{4} $", text)
    assert output.data["text/plain"].startswith("ring  finished  step 1,500 of 1,500  D loss ")


@kernel
def test_its_pictures_are_in_the_page(executed: Executed) -> None:
    found = pictures(executed.area(0))
    assert set(found) == {"both losses over the steps", "samples"}
    assert Image.open(io.BytesIO(found["samples"])).size == (320, 320)
    assert found["both losses over the steps"].startswith(b"<svg ")
    assert found["both losses over the steps"].count(b"<polyline") == 2
    assert "http" not in executed.area(0)


@kernel
def test_a_finished_run_shows_itself(executed: Executed) -> None:
    (output,) = executed.outputs[1]
    assert set(pictures(output.data["text/html"])) == {"both losses over the steps", "samples"}
    live = text_of(executed.area(0))
    shown = text_of(output.data["text/html"])
    assert live.partition("D loss")[2] == shown.partition("D loss")[2]
    assert re.match(r" [\d-]+-ring-\w{4} &#9679; finished step 1,500 of 1,500 ", shown)
    assert re.fullmatch(r"<ganlab run runs/\S+: finished, step 1,500>", output.data["text/plain"])
    assert "image/png" in executed.outputs[2][0].data
    assert "<table" in executed.outputs[3][0].data["text/html"]


@kernel
def test_a_resumed_run_shows_all_of_it(executed: Executed) -> None:
    text = text_of(executed.area(4))
    assert "step 3,000 of 3,000" in text
    assert "The budget is now 3,000 steps (it was 1,500)." in text
    assert b">step 100<" in pictures(executed.area(4))["both losses over the steps"]


@kernel
def test_the_stop_button_saves_the_run(executed: Executed) -> None:
    assert [output.output_type for output in executed.outputs["stopped"]] == ["display_data"]
    page = executed.area("stopped")
    assert "interrupted</b> &nbsp; step 12 of 40" in page
    assert 'a word to &lt;you&gt;: <code style="white-space:nowrap">--set a.b=1</code>' in page
    path = re.search(r"run (runs/\S+)", text_of(page))
    assert path
    assert f"to resume ganlab.resume(&quot;{path[1]}&quot;, tricks=[...])" in text_of(page)
    assert "step 40 of 40" in text_of(executed.area("resumed"))


@kernel
def test_a_run_is_not_shown_twice_in_a_cell(executed: Executed) -> None:
    area, value = executed.outputs["resumed"]
    assert (area.output_type, value.output_type) == ("display_data", "execute_result")
    assert set(value.data) == {"text/plain"}
    (shown,) = executed.outputs["hidden"]
    assert "step 40 of 40" in text_of(shown.data["text/html"])


@kernel
def test_a_second_stop_leaves_at_once(executed: Executed) -> None:
    _, error = executed.outputs["at once"]
    assert error.ename == "KeyboardInterrupt"
    text = text_of(executed.area("at once"))
    assert "interrupted step 12 of 40" in text
    assert "last checkpoint step_000000010.safetensors to resume ganlab.resume(" in text


@kernel
def test_a_trick_that_raises_is_one_message(executed: Executed) -> None:
    _, error = executed.outputs["sick"]
    shown = "\n".join(error.traceback)
    assert "PluginError:\x1b[0m Sick, in its hook after_step in step 8, raised ValueError: a mistake of its own\n" in shown
    assert 'raise ValueError("a mistake of its own")' in shown  # its author's own frames, and no others
    assert shown.count("Traceback") == 1
    assert "script.py" not in shown
    text = text_of(executed.area("sick"))
    assert "failed step 8 of 40" in text
    assert "last checkpoint step_000000008.safetensors to resume ganlab.resume(" in text


@kernel
def test_a_mistake_is_one_message(executed: Executed) -> None:
    (error,) = executed.outputs["mistakes"]
    assert error.ename == "UsageError"
    first, *rest = "\n".join(error.traceback).splitlines()
    assert first.startswith("\x1b[1;31mUsageError:\x1b[0m there is no shipped recipe 'rign'; did you mean 'ring'?")
    assert rest[0].startswith("\x1b[1;36mhint:\x1b[0m ")
    assert len(rest) == 1
    (error,) = executed.outputs["two mistakes"]
    shown = "\n".join(error.traceback)
    assert "train.stepz" in shown
    assert "generator.hidden" in shown
    assert "Traceback" not in shown
    assert executed.outputs["traceback"][0].text == "True\n"


# -- outside of one --------------------------------------------------------------------------------------------------------


def test_nothing_of_notebooks_is_imported_elsewhere() -> None:
    words = "import sys, ganlab; ganlab.run; print({'IPython', 'ipykernel', 'ipywidgets'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True).stdout == "set()\n"


def test_only_a_kernel_has_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notebook.current_cell() is None
    ipython = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    for name, bases, number in (("TerminalInteractiveShell", (), None), ("ZMQInteractiveShell", (), 7)):
        kind = type(name, bases, {"execution_count": 7})
        ipython.get_ipython = kind  # type: ignore[attr-defined]
        assert notebook.current_cell() == number
        ipython.get_ipython = type("Shell", (kind,), {})  # type: ignore[attr-defined]  # Colab's
        assert notebook.current_cell() == number


def test_curves_stay_small_and_true() -> None:
    found = Curves(["a", "b"])
    for step in range(1, 100_001):
        found.add(step, {"a": step / 2, "b": math.nan if step % 3 else 1.0, "c": 5.0})
        assert len(found.points) < 2 * POINTS
    drawn = found.drawn()
    assert POINTS <= len(drawn) <= 2 * POINTS
    assert all(a == pytest.approx(step / 2) and b == 1.0 for step, a, b in drawn)
    assert drawn[0][0] < 1000 < 99_000 < drawn[-1][0]
    assert len(svg(found)) < 12_000


@pytest.mark.parametrize(
    ("values", "polylines"),
    [
        ([], 0),
        ([1.0], 0),
        ([math.nan, math.nan, math.inf], 0),
        ([1.0, 1.0], 2),
        ([1.0, math.nan, 2.0, 1e30], 2),
        ([0.0, -1e-300], 2),
        ([1e30] * 3, 2),
    ],
)
def test_curves_of_any_values_are_drawn(values: list[float], polylines: int) -> None:
    found = Curves(["a", "b"])
    for step, value in enumerate(values):
        found.add(step, {"a": value, "b": value})
    drawn = svg(found)
    assert drawn.count("<polyline") == polylines
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_ticks_are_round() -> None:
    assert doctest.testmod(curves) == (0, 2)
    assert curves.ticks(0.6931, 0.6932) == [0.6931, 0.69312, 0.69314, 0.69316, 0.69318, 0.6932]


def test_a_large_sheet_is_made_smaller(tmp_path: Path) -> None:
    small, large = tmp_path / "step_000000001.png", tmp_path / "step_000000002.png"
    generator = np.random.default_rng(0)
    save_png(generator.integers(0, 255, (80, 90, 3), dtype=np.uint8), small)
    save_png(generator.integers(0, 255, (900, 1200, 3), dtype=np.uint8), large)
    kept = notebook.sheet_image(small)
    assert pictures(kept)["samples"] == small.read_bytes()
    assert "pixelated" in kept
    shrunk = notebook.sheet_image(large)
    assert len(shrunk) < 400_000 < large.stat().st_size
    assert Image.open(io.BytesIO(pictures(shrunk)["samples"])).size == (600, 450)
    assert notebook.sheet_image(tmp_path / "gone.png") == ""


def test_what_is_told_is_escaped_and_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.DisplayHandle.display", lambda _self, bundle, raw: shown.append(bundle))
    monkeypatch.setattr("IPython.display.DisplayHandle.update", lambda _self, bundle, raw: shown.append(bundle))
    with notebook.NotebookDisplay() as display:
        for number in range(notebook.NOTES + 2):
            display.tell(f"<b>{number}</b>")
    assert len(shown) == notebook.NOTES + 2
    assert shown[0] == {"text/html": notebook.paragraph("<b>0</b>"), "text/plain": "<b>0</b>"}
    assert "<b>" not in shown[-1]["text/html"]
    assert "... 2 earlier" in shown[-1]["text/html"]
    assert "&lt;b&gt;1&lt;" not in shown[-1]["text/html"]
    assert "&lt;b&gt;2&lt;" in shown[-1]["text/html"]


def test_threads_that_tell_at_once_share_the_area(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def first(_self: object, bundle: dict[str, str], raw: bool) -> None:
        time.sleep(0.05)
        shown.append("new")

    monkeypatch.setattr("IPython.display.DisplayHandle.display", first)
    monkeypatch.setattr("IPython.display.DisplayHandle.update", lambda _self, bundle, raw: shown.append(bundle["text/plain"]))
    with notebook.NotebookDisplay() as display:
        threads = [threading.Thread(target=display.tell, args=(f"word {number}",)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert shown[0] == "new"
    assert "new" not in shown[1:]
    assert sorted(shown[-1].splitlines()) == [f"word {number}" for number in range(5)]


def test_the_area_is_updated_no_more_often_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, cost = [0.0], [0.001]
    shown: list[float] = []

    def content(self: object, state: str, rows: object) -> tuple[str, str]:
        clock[0] += cost[0]
        return "x" * 1000, "x"

    def note(_self: object, bundle: object, raw: bool) -> None:
        shown.append(clock[0])

    monkeypatch.setattr(notebook, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(notebook.NotebookDisplay, "_content", content)
    monkeypatch.setattr("IPython.display.DisplayHandle.display", note)
    monkeypatch.setattr("IPython.display.DisplayHandle.update", note)
    display = notebook.NotebookDisplay()
    for seconds, updates in ((0.001, 10), (0.1, 1)):
        shown.clear()
        cost[0] = seconds
        clock[0] += 100
        for _ in range(1050):
            display.after_step()
            clock[0] += 0.01
        assert updates <= len(shown) <= updates + 1
    display.__exit__(None, None, None)


def test_numbers_of_a_run_that_was_put_back(tmp_path: Path) -> None:
    class Going:
        folder = types.SimpleNamespace(metrics=tmp_path / "metrics.jsonl")
        info: ClassVar = {"display_lines": {"G steps": "{adaptive/updates} in all", "never": "{adaptive/updates} of {none}"}}
        evaluations = types.SimpleNamespace(seconds=0.0)
        step = 0

    lines = [(5, 1.0, 2), (10, None, 3)]
    run, progress = Going(), Progress()
    progress.start(run)  # type: ignore[arg-type]
    for step in (5, 10, 15):
        assert progress.update(run, step, {"loss/generator": step, "adaptive/updates": 7.0})  # type: ignore[arg-type]
    named = [{"time": 0.0, "step": s, "metrics": {"loss/generator": loss, "adaptive/updates": n}} for s, loss, n in lines]
    run.folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in named), encoding="utf-8")
    run.step = 10
    assert not progress.update(run, 10, {"loss/generator": 4.0})  # type: ignore[arg-type]
    assert progress.totals == {"adaptive/updates": 5.0}
    assert progress.values() == [("G loss", "4.000"), ("G steps", "5 in all")]
    assert progress.metrics == {"loss/generator": 4.0}
    assert [point[0] for point in progress.losses.points] == [5, 10]
    assert progress.update(run, 15, {"loss/generator": 4.0})  # type: ignore[arg-type]


def test_what_is_logged_is_told_until_it_is_stopped() -> None:
    import logging

    told: list[str] = []
    forwarder = LogForwarder(told.append, logging.WARNING)
    logging.getLogger("ganlab.there").info("one")
    logging.getLogger("ganlab.there").warning("two")
    forwarder.stop()
    logging.getLogger("ganlab.there").warning("three")
    assert told == ["two"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ganlab.FinishedRun:
    monkeypatch.chdir(tmp_path)
    return ganlab.run("ring", SMALL, display=False)


def test_samples_as_a_picture(run: ganlab.FinishedRun) -> None:
    picture = run.picture(50, seed=1)
    assert (picture.mode, picture.size) == ("RGB", (320, 320))
    assert picture.tobytes() == run.picture(50, seed=1).tobytes() != run.picture(50).tobytes()
    unmeasured = {"evaluation.every": 0, "evaluation.at_end": False}
    options = {**SMALL, **unmeasured, "data.use": "digits", "train.steps": 2}
    del options["data.samples"]
    images = ganlab.run("mnist_mlp", options, display=False)
    assert images.picture(6).size == (3 * 30 + 2, 2 * 30 + 2)
