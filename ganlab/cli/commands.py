"""All commands of ganlab itself with their arguments, options and help texts. Each imports its own module only when it is called.

So ``ganlab --help`` imports neither torch nor a plugin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganlab.cli.extensions import CommandGroup, MainGroup, RecipeCommand
from ganlab.cli.importing import importing
from ganlab.commands import CHECKPOINT, DATA_ROOT, FORCE, QUIET, RUNS_DIR, SET, TRUST
from ganlab.errors import UsageError
from ganlab.version import __version__


@click.group(cls=MainGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="ganlab")
def cli() -> None:
    """Run, compare and understand adversarial training.

    \b
    ganlab run mnist_adaptive     train a GAN on handwritten digits
    ganlab compare                compare runs over their seeds
    ganlab recipes                list the recipes that come with ganlab
    """


@cli.command("run", cls=RecipeCommand)
@click.argument("recipe")
@SET
@click.option("--device", help="auto, cpu, cuda, cuda:N or mps; the same as --set train.device=...")
@click.option("--seed", type=int, help="The same as --set train.seed=...")
@click.option(
    "--seeds", metavar="N|A,B,..", help="Train N runs in parallel, each with its own seed; or one run for each of the seeds listed."
)
@click.option(
    "--grid",
    multiple=True,
    metavar="KEY=V,V..",
    help="Train one run for each value of a key, in parallel. Repeat it for more keys: one run for each combination of their values.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="How many runs train in parallel.  [default: one per GPU, or per CPU core]")
@click.option("--name", help="Name of the sweep.  [default: made from the recipe's name and the keys that are set]")
@click.option("--retry-failed", is_flag=True, help="Also resume the runs of the sweep that failed.")
@RUNS_DIR
@DATA_ROOT
@QUIET
def run_command(recipe: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Train the GAN of RECIPE: the name of a shipped recipe (see `ganlab recipes`), or a TOML file.

    --seeds and --grid make a sweep of several runs. The same command again trains the missing runs and resumes the interrupted ones.
    """
    settings = [f"train.{key}={value}" for key in ("device", "seed") if (value := options.pop(key)) is not None]
    sweep_options = {name: options.pop(name) for name in ("seeds", "grid", "jobs", "name", "retry_failed")}
    if sweep_options["seeds"] is not None or sweep_options["grid"]:
        with importing():
            from ganlab.cli import sweep

        sweep.run(recipe, [*overrides, *settings], sweep.SweepOptions(**sweep_options), **options)
        return
    for name, value in sweep_options.items():
        if value:
            raise UsageError(f"--{name.replace('_', '-')} is for a sweep", "add --seeds or --grid, for instance --seeds 5")
    with importing():
        from ganlab.cli.run import run

    run(recipe, [*overrides, *settings], **options)


@cli.command("resume")
@click.argument("run")
@SET
@click.option("--changed", is_flag=True, help="Resume although the recipe or a plugin file has changed since the run was trained.")
@TRUST
@RUNS_DIR
@DATA_ROOT
@QUIET
def resume_command(run: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Resume a stopped RUN from its last checkpoint. RUN is its id, the end of its id, its folder, or `last`.

    A longer budget (`--set train.steps=...`) needs no more than that. Every other change needs --changed as well.
    """
    with importing():
        from ganlab.cli.resume import resume

    resume(run, list(overrides), **options)


@cli.command("check")
@click.argument("recipe")
@SET
@click.option("--hooks", is_flag=True, help="Print the tricks that each hook calls, in order.")
@DATA_ROOT
def check_command(recipe: str, overrides: tuple[str, ...], hooks: bool, data_root: Path | None) -> None:
    """Validate RECIPE and build its networks without training. Downloads and writes nothing."""
    with importing():
        from ganlab.cli.check import check

    check(recipe, list(overrides), data_root, hooks)


@cli.command("describe")
@click.argument("recipe")
@SET
@DATA_ROOT
def describe_command(recipe: str, overrides: tuple[str, ...], data_root: Path | None) -> None:
    """Print what RECIPE builds: both networks' layers with shapes and parameter counts, the turns of a step, the tricks."""
    with importing():
        from ganlab.cli.describe import describe

    describe(recipe, list(overrides), data_root)


@cli.command("evaluate")
@click.argument("runs", nargs=-1, required=True)
@SET
@CHECKPOINT
@TRUST
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON and nothing else.")
@RUNS_DIR
@DATA_ROOT
def evaluate_command(runs: tuple[str, ...], overrides: tuple[str, ...], **options: Any) -> None:
    """Measure the samples of RUNS with the metrics of their recipes, and write evaluation.json into their folders.

    With --checkpoint, or with --set of a key of evaluation, metrics, judge, plugins or data (such as evaluation.samples=2000), the numbers
    are only shown, not written.
    """
    with importing():
        from ganlab.cli.evaluate import evaluate

    evaluate(list(runs), list(overrides), **options)


@cli.command("compare")
@click.argument("runs", nargs=-1)
@click.option("--recipe", "recipes", multiple=True, help="All finished runs of this recipe; may be repeated.  [default: of every recipe]")
@click.option("--by", help="The metric that decides the verdict: a name of evaluation.json.  [default: the first that all runs have]")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report with curves and samples to this file.")
@RUNS_DIR
def compare_command(runs: tuple[str, ...], recipes: tuple[str, ...], **options: Any) -> None:
    """Compare RUNS by recipe, over their seeds: their metrics, the options that differ, and whether a difference is more than luck.

    The other recipes are compared with the first run's recipe.
    """
    from ganlab.cli.compare import compare

    compare(runs, recipes=recipes, **options)


@cli.command("sync", cls=RecipeCommand, table="tracking")
@click.argument("run")
@SET
@click.option("--trust", is_flag=True, help="Follow the paths and addresses of a run folder that came from elsewhere.")
@RUNS_DIR
def sync_command(run: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Send RUN to its tracker: what the tracker does not have yet, or all of it. Sending twice changes nothing."""
    with importing():
        from ganlab.cli.sync import sync

    sync(run, list(overrides), **options)


@cli.command("sample")
@click.argument("run")
@click.option("--count", type=click.IntRange(min=1), help="Number of samples.  [default: 64 images, 1000 points]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Equal seeds give equal samples.  [default: 0]")
@click.option("--class", "label", metavar="C", help="Only this class, by name or number, for a generator that takes labels.")
@click.option("--truncation", type=float, metavar="T", help="No latent farther out than T, in standard deviations of normal noise.")
@click.option("--grid", metavar="RxC", help="Rows and columns of the sheet, such as 8x8.")
@click.option("--interpolate", is_flag=True, help="Each row interpolates between two random latents.  [grid: 8x10]")
@CHECKPOINT
@click.option("--animate", is_flag=True, help="Make an animation of the training from the run's sheets instead: .gif, .png or .webp.")
@click.option("--frame-seconds", type=click.FloatRange(0.02, 60), help="Time for which the animation shows each sheet.  [default: 0.2]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A .png for a sheet, a folder for single PNGs, a .gif for an animation.  [default: named after the run]",
)
@FORCE
@TRUST
@RUNS_DIR
@DATA_ROOT
def sample_command(run: str, **options: Any) -> None:
    """Draw samples of RUN's generator: a sheet, single images, interpolations, or an animation of its training."""
    from ganlab.cli.sample import sample

    sample(run, **options)


@cli.command("export")
@click.argument("run")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["safetensors", "onnx", "torch"]),
    help="A folder with weights and config.json, an .onnx file, or a .pt2 file of torch.export.  [default: from the ending of --out]",
)
@click.option("--out", type=click.Path(path_type=Path), help="The file, or for safetensors the folder.  [default: named after the run]")
@CHECKPOINT
@FORCE
@TRUST
@RUNS_DIR
@DATA_ROOT
def export_command(run: str, **options: Any) -> None:
    """Write RUN's generator for other programs, and check that the written files give the same images."""
    from ganlab.cli.export import export

    export(run, **options)


@cli.command("runs")
@click.option("--recipe", "recipes", multiple=True, help="Only runs of this recipe; may be repeated.")
@click.option(
    "--status",
    "states",
    multiple=True,
    type=click.Choice(("finished", "interrupted", "failed", "running", "closing")),
    help="Only runs with this status.",
)
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only runs whose recipe sets KEY to VALUE; may be repeated.")
@click.option("--metric", "metrics", multiple=True, help="Show this number of evaluation.json; may be repeated.")
@click.option(
    "--sort",
    default="started",
    show_default=True,
    help="Sort by started, recipe, seed, step, minutes, status, or a metric: the best run comes first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything about the runs as JSON and nothing else.")
@RUNS_DIR
def runs_command(runs_dir: Path, **options: Any) -> None:
    """List the runs, oldest first unless --sort says otherwise.

    Reads run.json, evaluation.json, recipe.toml and the end of metrics.jsonl of each run, and runs nothing. A run that cannot be read
    is named, and the others are listed.
    """
    from ganlab.cli.runs import runs

    runs(runs_dir, **options)


@cli.command("delete")
@click.argument("run")
@RUNS_DIR
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
def delete_command(run: str, runs_dir: Path, yes: bool) -> None:
    """Remove RUN's folder with its checkpoints, sheets and metrics. Its record in a tracker stays."""
    from ganlab.cli.delete import delete

    delete(run, runs_dir, yes)


@cli.command("recipes")
@click.option("--copy", "name", metavar="NAME", help="Copy the recipe NAME into the current folder, to edit it.")
def recipes_command(name: str | None) -> None:
    """List the shipped recipes, or copy one into the current folder."""
    from ganlab.cli.recipes import recipes

    recipes(name)


@cli.command("plugins")
@click.argument("name", required=False)
def plugins_command(name: str | None) -> None:
    """List the installed plugins, or describe NAME: a plugin, a component, a trick, or a plugin file of yours."""
    from ganlab.cli.plugins import plugins

    plugins(name)


@cli.group("new", cls=CommandGroup)
def new_group() -> None:
    """Write starter files: a trick, a metric, a recipe, or a plugin to publish. Each runs as it is."""


FILE = click.argument("file", type=click.Path(path_type=Path))


@new_group.command("trick")
@FILE
def new_trick(file: Path) -> None:
    """Write FILE, such as my_trick.py, with a trick, and a recipe that uses it."""
    from ganlab.cli import new

    new.plugin_file("trick", file)


@new_group.command("metric")
@FILE
def new_metric(file: Path) -> None:
    """Write FILE, such as my_metric.py, with a metric, and a recipe that uses it."""
    from ganlab.cli import new

    new.plugin_file("metric", file)


@new_group.command("recipe")
@FILE
def new_recipe(file: Path) -> None:
    """Write FILE, such as mine.toml: a recipe that changes a shipped one."""
    from ganlab.cli import new

    new.recipe(file)


@new_group.command("plugin")
@click.argument("name")
def new_plugin(name: str) -> None:
    """Make a folder NAME with a distribution: a plugin that can be installed and run, its tests and its README."""
    from ganlab.cli import new

    new.plugin(name)


@cli.command("schema")
def schema_command() -> None:
    """Print the JSON schema of recipes, with the options of every installed plugin."""
    from ganlab.cli.schema import schema

    schema()
