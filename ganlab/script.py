"""The Python API for scripts and notebooks: ``ganlab.run(...)`` trains as the command ``ganlab run`` does, and returns the finished run.

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

from ganlab.generators.loaded import LoadedGenerator
from ganlab.recipe.script_arguments import Overrides, override_list, plugin_list, recipe_source, trick_list
from ganlab.records.distributions import SCRIPT
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.results import RunResult
from ganlab.records.summaries import RunSummary, find_run
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.generators import RunGenerator, open_generator
from ganlab.runs.resume import resume_run
from ganlab.runs.run import Run
from ganlab.runs.start import open_run
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.notebook import Card, NotebookDisplay, current_cell
from ganlab.screen.progress import Progress
from ganlab.screen.terminal import Display, warn

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image
    from torch import Tensor


class FinishedRun:
    """A run that has ended, read from its folder. :func:`run` and :func:`resume` return one; it can be made from any run's folder.

    Args:
        path: the run's folder, its id, the end of its id, or ``"last"``.
        runs_dir: the folder of all runs, where ``path`` is not a folder.
        plugins: those that were passed to :func:`run`, if any: its generator may use components of theirs.

    Raises:
        UsageError: there is no such run.
    """

    def __init__(self, path: str | Path, runs_dir: str | Path = "runs", plugins: Iterable[object] = ()) -> None:
        self._plugins = plugin_list(plugins)
        self.folder: RunFolder = find_run(Path(runs_dir), str(path)).folder
        self._data_root: Path | None = None  # that it was trained with, if this process trained it
        self._display_cell: int | None = None  # the notebook cell that showed it while it trained

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
        return {"data": {}} | self.folder.read_info().as_dict()

    @property
    def status(self) -> str:
        """``"finished"``, ``"interrupted"`` or ``"failed"``; while another process trains it ``"running"`` or ``"closing"``."""
        return RunSummary(self.folder, self.folder.read_info()).status

    @property
    def quality(self) -> dict[str, float]:
        """The metrics of the samples at the end (``evaluation.json``), by name; empty if nothing was measured."""
        return dict(RunResult(find_run(self.path.parent, str(self.path))).values)

    @cached_property
    def metrics(self) -> pandas.DataFrame:
        """All metrics: a row for each logged step (the index), a column for each metric; NaN where a metric has no value."""
        import pandas

        rows: dict[int, dict[str, float | None]] = {}
        for line in self.folder.lines():
            record = json.loads(line)
            rows.setdefault(record["step"], {}).update(record["metrics"])
        return pandas.DataFrame.from_dict(rows, orient="index", dtype=float).rename_axis("step")

    @property
    def generator(self) -> LoadedGenerator:
        """The trained generator, on the CPU and in eval mode: ``generator(latent)``.

        Raises:
            GanlabError: there is none (the run was killed, or failed), its network is not installed, or it needs a plugin file of
                somebody else.
        """
        return self._opened.generator

    @cached_property
    def _opened(self) -> RunGenerator:
        summary, data_root = RunSummary(self.folder, self.folder.read_info()), Workspace(data=self._data_root).data_root()
        return open_generator(summary, self._catalogue, RunRequest(command="sample"), data_root, warn)

    @cached_property
    def _catalogue(self) -> Catalogue:
        return _catalogue_with(self._plugins, Workspace())

    def samples(self, count: int, seed: int = 0, label: int | str | None = None, truncation: float | None = None) -> Tensor:
        """Draw ``count`` samples of the generator: shape ``(count, *data shape)``, in the range of the training data.

        Args, Raises:
            as for :meth:`ganlab.generators.loaded.LoadedGenerator.sample`, which also has ``interpolate``.
        """
        return self.generator.sample(count, seed, label, truncation)

    def export(self, kind: str | None = None, out: str | Path | None = None, force: bool = False) -> list[Path]:
        """Write the generator as ``"safetensors"``, ``"onnx"`` or ``"torch"`` and check it, as ``ganlab export`` does.

        Args:
            kind: the format; None takes it from the ending of ``out``. Without an ending it is a folder of safetensors.
            out: the file, or for safetensors the folder; None names it after the run, in the current folder.
            force: replace existing files.

        Returns:
            The written files.
        """
        from ganlab.generators import formats

        kind, path = formats.destination(kind, None if out is None else Path(out), self.id, force)
        files, _verification = formats.export_generator(self.generator, kind, path, self._catalogue)
        return files

    def picture(self, count: int = 64, seed: int = 0) -> Image:
        """Draw ``count`` samples as one picture, which a notebook displays: images in a grid, points over the data."""
        import PIL.Image

        return PIL.Image.fromarray(self._opened.sheet(self.samples(count, seed)))

    @property
    def sheets(self) -> list[Path]:
        """The sheets of samples, oldest first."""
        return self.folder.sheets()

    def __repr__(self) -> str:
        return f"<ganlab run {self.path}: {self.status}, step {self.info.get('counters', {}).get('step', 0):,}>"

    def _repr_html_(self) -> str | None:
        """The run as HTML, for a notebook; None in the cell whose live display shows the same run."""
        if self._display_cell is not None and self._display_cell == current_cell():
            return None
        progress = Progress(self.info.get("display_lines"))
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
        overrides: changes of the recipe, as ``--set`` makes them: ``{"train.steps": 500, "generator.optimizer.lr": 1e-4}``, or a list of
            ``"a.b=c"``.
        tricks: objects with run hooks, called in this order after the recipe's tricks. Their state is saved and restored as that of
            other tricks, but only a script can resume such a run: ``ganlab.resume(path, tricks=[...])``.
        plugins: modules, or other objects with registration hooks; ``overrides`` and the recipe can use what they register.
        runs_dir: the folder of all runs.
        data_root: the folder of the data sets; None: ``GANLAB_DATA``, else the user's cache folder.
        display: show the run while it trains, as the command line does; warnings are printed in any case.

    Returns:
        The finished run; its ``status`` says how it ended.

    Raises:
        UsageError: the recipe, the data or the machine do not allow the run (a ``RecipeError`` lists all mistakes); nothing was trained.
        GanlabError: the run failed while it trained; its folder holds everything up to the failure.
    """
    source, words, script_plugins = recipe_source(recipe), override_list(overrides), plugin_list(plugins)
    workspace = Workspace(Path(runs_dir), data=None if data_root is None else Path(data_root), tricks=trick_list(tricks))

    def build() -> Run:
        return open_run(source, _catalogue_with(script_plugins, workspace), words, workspace)

    return _train(workspace, display, build, script_plugins)


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
    """Resume a stopped run from its last checkpoint, as ``ganlab resume`` does.

    Args:
        path: the run's folder, its id, the end of its id, or ``"last"``.
        overrides: a longer budget (``{"train.steps": 2000}``); whatever else differs needs ``changed``.
        tricks, plugins: those that were passed to :func:`run`: a run's folder cannot hold the objects of a script.
        changed: resume although the recipe, a plugin file or the tricks have changed since the run was trained.
        trust: run the plugin files of the folder, and follow its paths, though somebody else may have made it.
        runs_dir, data_root, display: as for :func:`run`.

    Returns, Raises:
        as for :func:`run`.
    """
    summary = find_run(Path(runs_dir), str(path))
    workspace = Workspace(summary.folder.path.parent, data=None if data_root is None else Path(data_root), tricks=trick_list(tricks))
    request, script_plugins = RunRequest(tuple(override_list(overrides)), changed, trust), plugin_list(plugins)

    def build() -> Run:
        return resume_run(summary, _catalogue_with(script_plugins, workspace), workspace, request)

    return _train(workspace, display, build, script_plugins)


def _train(workspace: Workspace, display: bool, build: Callable[[], Run], plugins: list[object]) -> FinishedRun:
    """Build a run and train it, with a display if ``display``; ``plugins`` are the script's."""
    context: Display | NotebookDisplay | nullcontext[None] = nullcontext()
    if display:
        context = Display() if current_cell() is None else NotebookDisplay()
    with context as watcher:
        workspace.tell = watcher.tell if watcher else warn
        workspace.watchers += [watcher] if watcher else []
        run = build()
        status = execute(run)
        if watcher:
            watcher.show_end(run, status)
    finished = FinishedRun(run.path, plugins=plugins)
    finished._data_root = workspace.data
    finished._display_cell = current_cell() if display else None
    return finished


def _catalogue_with(plugins: Iterable[object], workspace: Workspace) -> Catalogue:
    """Return the catalogue of all installed plugins, with the script's plugins added. Equal names get a number: ``"mine 2"``."""
    catalogue = Catalogue.of_installed(announce_plugin_files(workspace.tell or warn))
    for plugin in plugins:
        name = getattr(plugin, "__name__", type(plugin).__name__)
        unique = next(label for n in count(1) if (label := name if n == 1 else f"{name} {n}") not in catalogue.plugins)
        catalogue.add(plugin, unique, SCRIPT)
    return catalogue
