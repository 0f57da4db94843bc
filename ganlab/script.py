"""ganlab from a script or a notebook: ``ganlab.run(...)`` trains as ``ganlab run`` does, and hands back what the run has left behind.

.. code-block:: python

    run = ganlab.run("mnist_adaptive", overrides={"train.steps": 2000})
    run.metrics["loss/generator"].plot()
    images = run.samples(16)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.comparison import Result
from ganlab.generators.loaded import LoadedGenerator
from ganlab.recipe import PluginFile
from ganlab.recipe.script_arguments import Overrides, plugins_of, recipe_of, tricks_of, words_of
from ganlab.records.distributions import SCRIPT
from ganlab.records.folder import RunFolder
from ganlab.records.metric_lines import whole_lines
from ganlab.records.request import RunRequest
from ganlab.records.summaries import RunSummary, find_run
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.generators import open_generator
from ganlab.runs.resume import resume_run
from ganlab.runs.run import Run
from ganlab.runs.start import open_run
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace
from ganlab.screen.notebook import Card, NotebookDisplay, cell
from ganlab.screen.progress import Progress
from ganlab.screen.terminal import Display, warn

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image
    from torch import Tensor


class FinishedRun:
    """What a run has left in its folder. Made by :func:`run` and :func:`resume`, or from any run's folder.

    Args:
        path: the run's folder, its id, the end of its id, or ``"last"``.
        runs_dir: the folder of all runs, where ``path`` is no folder.
        plugins: those that :func:`run` was given, if it was: its generator may be made of what they bring.

    Raises:
        UsageError: there is no such run.
    """

    def __init__(self, path: str | Path, runs_dir: str | Path = "runs", plugins: Iterable[object] = ()) -> None:
        self._plugins = plugins_of(plugins)
        self.folder: RunFolder = find_run(Path(runs_dir), str(path)).folder
        self._shown_in: int | None = None  # the notebook's cell that has shown it while it went on

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @cached_property
    def info(self) -> dict[str, Any]:
        """What ``run.json`` holds: seed, versions, device, counters, announcements ..."""
        return self.folder.read_info().as_dict()

    @property
    def status(self) -> str:
        """``"finished"``, ``"interrupted"`` or ``"failed"``."""
        return str(self.info["status"])

    @property
    def quality(self) -> dict[str, float]:
        """What was measured of the samples at the end (``evaluation.json``), by name; empty where nothing was."""
        return dict(Result(find_run(self.path.parent, str(self.path))).values)

    @cached_property
    def metrics(self) -> pandas.DataFrame:
        """All metrics: a row for each step that was logged (the index), a column for each metric; NaN where there is no value."""
        import pandas

        rows: dict[int, dict[str, float | None]] = {}
        for line in whole_lines(self.folder.metrics.read_bytes()) if self.folder.metrics.is_file() else []:
            found = json.loads(line)
            rows.setdefault(found["step"], {}).update(found["metrics"])
        return pandas.DataFrame.from_dict(rows, orient="index", dtype=float).rename_axis("step")

    @cached_property
    def generator(self) -> LoadedGenerator:
        """The trained generator, on the CPU and in eval mode: ``generator(latent)``.

        Raises:
            GanlabError: there is none (the run was killed, or failed), its network is not installed, or it is of a plugin file of
                somebody else's.
        """
        summary, workspace = RunSummary(self.folder, self.folder.read_info()), Workspace()
        return open_generator(summary, self._library, RunRequest(command="sample"), workspace.data_root(), warn, draw=False).generator

    @cached_property
    def _library(self) -> Catalogue:
        return _catalogue(self._plugins, Workspace())

    def samples(self, count: int, seed: int = 0, label: int | str | None = None, truncation: float | None = None) -> Tensor:
        """``count`` samples of the generator: ``(count, *data shape)``, in the range that the data were shown in.

        Args, Raises:
            as of :meth:`ganlab.generators.loaded.LoadedGenerator.sample`, which also has ``interpolate``.
        """
        return self.generator.sample(count, seed, label, truncation)

    def export(self, kind: str | None = None, out: str | Path | None = None, force: bool = False) -> list[Path]:
        """Write the generator as ``"safetensors"``, ``"onnx"`` or ``"torch"``, checked to give the same images, as ``ganlab export`` does.

        Args:
            kind: the format; None: as ``out`` ends, which without an ending is a folder of safetensors.
            out: the file, or for safetensors the folder; None: named after the run, in the current folder.
            force: replace what is there.

        Returns:
            What was written.
        """
        from ganlab.generators import formats

        kind = formats.kind_of(None if out is None else Path(out)) if kind is None else kind
        target = formats.usual_place(kind, self.id) if out is None else Path(out)
        return formats.export_generator(self.generator, kind, target, self._library, force).files

    def picture(self, count: int = 64, seed: int = 0) -> Image:
        """``count`` samples as one picture: a grid of images, or a scatter plot of points. A notebook shows it by itself."""
        import PIL.Image

        from ganlab.pictures import image_grid, scatter

        samples = self.samples(count, seed)
        points = samples.dim() == 2
        return PIL.Image.fromarray(scatter(samples, samples) if points else image_grid(samples, self.generator.info["range"]))

    @property
    def sheets(self) -> list[Path]:
        """The sheets of samples, oldest first."""
        return self.folder.sheets()

    def __repr__(self) -> str:
        return f"<ganlab run {self.path}: {self.status}, step {self.info.get('counters', {}).get('step', 0):,}>"

    def _repr_html_(self) -> str | None:
        """The run at a glance, in a notebook; None below the live display of the same run."""
        if self._shown_in is not None and self._shown_in == cell():
            return None
        progress = Progress()
        progress.read(self.folder.metrics)
        counters, minutes = self.info.get("counters", {}), divmod(int(self.info.get("training_seconds", 0)), 60)
        facts = [f"epoch {counters.get('epoch', 0):,}", "{} min {} s".format(*minutes), str(self.info.get("device_name", ""))]
        step, sheets = counters.get("step", 0), self.sheets
        rows = {"run": str(self.path)}
        return Card(
            self.id, self.status, step, self.info.get("total_steps", step), facts, progress, sheets[-1] if sheets else None, rows=rows
        ).html()


def run(
    recipe: str | Path,
    overrides: Overrides = (),
    *,
    tricks: Iterable[object] = (),
    plugins: Iterable[object] = (),
    runs_dir: str | Path = "runs",
    data_root: str | Path | None = None,
    display: bool = True,
) -> FinishedRun:
    """Train a recipe in a new run, to the end of its budget or until Ctrl-C.

    Args:
        recipe: the name of a shipped recipe, or a TOML file.
        overrides: what ``--set`` says: ``{"train.steps": 500, "generator.optimizer.lr": 1e-4}``, or a list of ``"a.b=c"``.
        tricks: objects with run hooks, called in this order after the recipe's tricks. Their state is saved and restored like any
            other, but only a script can bring them back: ``ganlab.resume(path, tricks=[...])``.
        plugins: modules, or any objects with registration hooks; what they bring can be picked by ``overrides`` and by the recipe.
        runs_dir: the folder of all runs.
        data_root: the folder of the data sets; None: ``GANLAB_DATA``, else the user's cache folder.
        display: show the run while it goes on, as the command line does; warnings are printed in any case.

    Returns:
        What the run has left behind; ``status`` tells how it ended.

    Raises:
        UsageError: the recipe, the data or the machine do not allow it (a ``RecipeError`` lists all mistakes); nothing was trained.
        GanlabError: it failed while it was training; its folder holds it up to there.
    """
    source, words, brought = recipe_of(recipe), words_of(overrides), plugins_of(plugins)
    workspace = Workspace(Path(runs_dir), data=None if data_root is None else Path(data_root), tricks=tricks_of(tricks))
    return _train(workspace, display, lambda: open_run(source, _catalogue(brought, workspace), words, workspace), brought)


def resume(
    path: str | Path = "last",
    overrides: Overrides = (),
    *,
    tricks: Iterable[object] = (),
    plugins: Iterable[object] = (),
    changed: bool = False,
    trust: bool = False,
    runs_dir: str | Path = "runs",
    data_root: str | Path | None = None,
    display: bool = True,
) -> FinishedRun:
    """Go on with a run that stopped, from its last checkpoint, as ``ganlab resume`` does.

    Args:
        path: the run's folder, its id, the end of its id, or ``"last"``.
        overrides: a longer budget (``{"train.steps": 2000}``); whatever else differs needs ``changed``.
        tricks, plugins: those that :func:`run` was given: a run's folder cannot hold what a script brings.
        changed: go on although the recipe, a plugin file or the tricks are no longer what it was trained with.
        trust: run and follow what its folder holds, though somebody else may have made it.
        runs_dir, data_root, display: as for :func:`run`.

    Returns, Raises:
        as :func:`run`.
    """
    summary = find_run(Path(runs_dir), str(path))
    workspace = Workspace(summary.folder.path.parent, data=None if data_root is None else Path(data_root), tricks=tricks_of(tricks))
    request, brought = RunRequest(tuple(words_of(overrides)), changed, trust), plugins_of(plugins)
    return _train(workspace, display, lambda: resume_run(summary, _catalogue(brought, workspace), workspace, request), brought)


def _train(workspace: Workspace, display: bool, build: Callable[[], Run], plugins: list[object]) -> FinishedRun:
    """Build a run, carry it out, and show it meanwhile if asked to; ``plugins`` are the script's."""
    shows: Display | NotebookDisplay | nullcontext[None] = nullcontext()
    if display:
        shows = Display() if cell() is None else NotebookDisplay()
    with shows as shown:
        workspace.tell = shown.tell if shown else warn
        workspace.watchers += [shown] if shown else []
        run = build()
        status = execute(run)
        if shown:
            shown.show_end(run, status)
    finished = FinishedRun(run.path, plugins=plugins)
    finished._shown_in = cell() if display else None
    return finished


def _catalogue(plugins: Iterable[object], workspace: Workspace) -> Catalogue:
    """All that is installed, and what the script brings."""

    def announce(file: PluginFile) -> None:
        (workspace.tell or warn)(f"Running the plugin file {file.path} (sha256 {file.sha256}).")

    found = Catalogue.of_installed(announce)
    for plugin in plugins:
        name = getattr(plugin, "__name__", type(plugin).__name__)
        unique = next(label for n in count(1) if (label := name if n == 1 else f"{name} {n}") not in found.plugins)
        found.add(plugin, unique, SCRIPT)
    return found
