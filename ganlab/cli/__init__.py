"""The command line. What a command needs is imported when it is called: ``ganlab --help`` imports neither torch nor mlflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from ganlab.cli.importing import importing
from ganlab.errors import GanlabError, UsageError, did_you_mean
from ganlab.speed.thread_waiting import set_wait_policy
from ganlab.version import __version__

RUNS = click.option("--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of all runs.")
DATA = click.option(
    "--data-root", type=click.Path(path_type=Path), help="Folder of the data sets.  [default: $GANLAB_DATA, else the cache folder]"
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the recipe, e.g. train.steps=500 or tricks.clamp.margin=1e-2.",
)
TRUST = click.option("--trust", is_flag=True, help="Run the plugin files, and follow the paths, of a run folder that came from elsewhere.")
FORCE = click.option("--force", is_flag=True, help="Replace files that are there already.")
CHECKPOINT = click.option("--checkpoint", default="", metavar="WHICH", help="last, best or a step, in place of the end of the training.")
QUIET = click.option("--quiet", "-q", is_flag=True, help="Print one line at the end, and nothing else but warnings.")


class Commands(click.Group):
    """A group that answers an unknown command with the closest right one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UsageError(f"there is no command '{args[0]}'", did_you_mean(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of a user's day, not of the alphabet


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="ganlab")
def cli() -> None:
    """Run, compare and understand adversarial training.

    \b
    ganlab run mnist_adaptive     train a GAN on handwritten digits
    ganlab ui                     compare its runs in MLflow
    ganlab recipes                see what else can be run
    """


@cli.command()
@click.argument("recipe")
@SET
@click.option("--device", help="auto, cpu, cuda, cuda:N or mps; the same as --set train.device=...")
@click.option("--seed", type=int, help="The same as --set train.seed=...")
@click.option("--tracking-uri", help="MLflow tracking URI; the same as --set tracking.uri=...")
@click.option(
    "--seeds", metavar="N|A,B,..", help="Train N runs, which differ in their seeds, side by side; or one for each of these seeds."
)
@click.option(
    "--grid",
    multiple=True,
    metavar="KEY=V,V..",
    help="Train one run for each value of a key, side by side. May be given for several keys: all combinations of their values.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="How many runs go on side by side.  [default: one per GPU, or per CPU core]")
@click.option("--name", help="Name of the set of runs.  [default: made of the recipe's name and what is set]")
@click.option("--retry-failed", is_flag=True, help="Go on with those runs of the set, too, that have failed before.")
@RUNS
@DATA
@QUIET
def run(recipe: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Train the GAN of RECIPE: the name of a shipped one (see `ganlab recipes`), or a TOML file.

    With --seeds or --grid it is a set of runs. The same command again makes what is missing of it, and goes on with what was interrupted.
    """
    of_sets = {name: options.pop(name) for name in ("seeds", "grid", "jobs", "name", "retry_failed")}
    if of_sets["seeds"] is not None or of_sets["grid"]:
        with importing():
            from ganlab.cli import sweep

        sweep.run(recipe, list(overrides), sweep.Asked(**of_sets), **options)
        return
    for name, value in of_sets.items():
        if value:
            raise UsageError(f"--{name.replace('_', '-')} is for a set of runs", "add --seeds or --grid, for instance --seeds 5")
    with importing():
        from ganlab.cli import train

    train.run(recipe, list(overrides), **options)


@cli.command()
@click.argument("run")
@SET
@click.option("--changed", is_flag=True, help="Go on although recipe or plugin files are no longer those it was trained with.")
@TRUST
@RUNS
@DATA
@QUIET
def resume(run: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Go on with a RUN that stopped, from its last checkpoint: its id, the end of it, its folder, or `last`.

    A longer budget (`--set train.steps=...`) is all that may be new; whatever else is needs --changed as well.
    """
    with importing():
        from ganlab.cli import train

    train.resume(run, list(overrides), **options)


@cli.command()
@click.argument("recipe")
@SET
@click.option("--hooks", is_flag=True, help="Print which trick is called where, in order.")
@DATA
def check(recipe: str, overrides: tuple[str, ...], hooks: bool, data_root: Path | None) -> None:
    """Validate RECIPE and build its networks without training; downloads and writes nothing."""
    with importing():
        from ganlab.cli import train

    train.check(recipe, list(overrides), data_root, hooks)


@cli.command()
@click.argument("recipe")
@SET
@DATA
def describe(recipe: str, overrides: tuple[str, ...], data_root: Path | None) -> None:
    """Print what RECIPE builds: both networks' layers with shapes and parameter counts, the turns of a step, the tricks."""
    with importing():
        from ganlab.cli import train

    train.describe(recipe, list(overrides), data_root)


@cli.command()
@click.argument("runs", nargs=-1, required=True)
@SET
@CHECKPOINT
@click.option("--trust", is_flag=True, help="Run and follow what a run folder that came from elsewhere holds.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON, and nothing else.")
@RUNS
@DATA
def evaluate(runs: tuple[str, ...], overrides: tuple[str, ...], **options: Any) -> None:
    """Measure the samples of RUNS with the metrics of their recipes, and write evaluation.json into their folders.

    --set evaluation.samples=2000, or any other key of evaluation, metrics, judge and plugins, measures otherwise, and is only shown. So
    is what --checkpoint picks.
    """
    with importing():
        from ganlab.cli import evaluate

    evaluate.evaluate(list(runs), list(overrides), **options)


@cli.command()
@click.argument("runs", nargs=-1)
@click.option("--recipe", "recipes", multiple=True, help="All finished runs of this recipe; may be repeated.  [default: of every recipe]")
@click.option("--by", help="The metric that the verdict goes by, such as frechet_distance.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report with curves and samples to this file.")
@RUNS
def compare(runs: tuple[str, ...], recipes: tuple[str, ...], **options: Any) -> None:
    """Hold RUNS against each other: by recipe, over seeds, with what differs and whether it is more than luck.

    The first run's recipe is what the others are held against.
    """
    from ganlab.cli import compare

    compare.compare(runs, recipes=recipes, **options)


@cli.command()
@click.argument("run")
@SET
@click.option("--tracking-uri", help="Where to; the same as --set tracking.uri=...  [default: as the run's recipe says]")
@click.option("--trust", is_flag=True, help="Follow the paths and addresses of a run folder that came from elsewhere.")
@RUNS
def sync(run: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Send RUN to its tracker: what is missing there, or all of it. Sending twice changes nothing."""
    with importing():
        from ganlab.cli import train

    train.sync(run, list(overrides), **options)


@cli.command()
@click.argument("run")
@click.option("--count", type=click.IntRange(min=1), help="How many.  [default: 64 images, 1000 points]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Equal seed, equal samples.  [default: 0]")
@click.option("--class", "label", metavar="C", help="One class only, by name or number, of a generator that takes labels.")
@click.option("--truncation", type=float, metavar="T", help="No latent farther out than T, in standard deviations of normal noise.")
@click.option("--grid", metavar="RxC", help="Rows and columns of the sheet: 8x8.")
@click.option("--interpolate", is_flag=True, help="Rows that go from one random latent to another.  [grid: 8x10]")
@CHECKPOINT
@click.option("--animate", is_flag=True, help="An animation of the training instead, of the run's sheets: .gif, .png or .webp.")
@click.option("--frame-seconds", type=click.FloatRange(0.02, 60), help="How long the animation shows a sheet.  [default: 0.2]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A .png for a sheet, a folder for single PNGs, a .gif to animate.  [default: named after the run]",
)
@FORCE
@TRUST
@RUNS
@DATA
def sample(run: str, **options: Any) -> None:
    """Draw samples of RUN's generator: a sheet, single images, interpolations, or an animation of its training."""
    from ganlab.cli import sample

    sample.sample(run, **options)


@cli.command()
@click.argument("run")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["safetensors", "onnx", "torch"]),
    help="A folder with weights and config.json, an .onnx file, or a .pt2 file of torch.export.  [default: as --out ends]",
)
@click.option("--out", type=click.Path(path_type=Path), help="The file, or for safetensors the folder.  [default: named after the run]")
@CHECKPOINT
@FORCE
@TRUST
@RUNS
@DATA
def export(run: str, **options: Any) -> None:
    """Write RUN's generator for other programs, and check that what was written gives the same images."""
    from ganlab.cli import export

    export.export(run, **options)


@cli.command()
@RUNS
@click.option("--tracking-uri", help="The store to show.  [default: $MLFLOW_TRACKING_URI, else mlflow.db beside the runs folder]")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port of the UI; the next free one when taken."
)
@click.option("--open/--no-open", "open_browser", default=False, help="Open a browser on it.")
def ui(runs_dir: Path, tracking_uri: str | None, port: int, open_browser: bool) -> None:
    """Open the MLflow UI on the runs, and print the link to their charts."""
    from ganlab.cli.ui import serve_ui

    serve_ui(runs_dir, tracking_uri or "", port, open_browser)


@cli.command()
@click.option("--recipe", "recipes", multiple=True, help="Only runs of this recipe; may be repeated.")
@click.option(
    "--status", "states", multiple=True, type=click.Choice(("finished", "interrupted", "failed", "running")), help="Only runs that are so."
)
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only runs whose recipe says this, as --set would; may be repeated.")
@click.option("--metric", "metrics", multiple=True, help="Show this number of evaluation.json, such as frechet_ratio; may be repeated.")
@click.option(
    "--sort",
    default="started",
    show_default=True,
    help="By started, recipe, seed, step, minutes, status, or a metric: the best comes first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all that is known of them as JSON, and nothing else.")
@RUNS
def runs(runs_dir: Path, **options: Any) -> None:
    """List the runs, oldest first unless --sort says otherwise."""
    from ganlab.cli import runs

    runs.runs(runs_dir, **options)


@cli.command()
@click.argument("run")
@RUNS
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def delete(run: str, runs_dir: Path, yes: bool) -> None:
    """Remove RUN's folder with its checkpoints, sheets and metrics; what MLflow has of it stays."""
    from ganlab.cli import look

    look.delete(run, runs_dir, yes)


@cli.command()
@click.option("--copy", "name", metavar="NAME", help="Copy the recipe NAME into this folder, to edit it.")
def recipes(name: str | None) -> None:
    """List the shipped recipes, or copy one here."""
    from ganlab.cli import look

    look.recipes(name)


@cli.command()
@click.argument("name", required=False)
def plugins(name: str | None) -> None:
    """List what is installed, or tell all about NAME: a plugin, a component, a trick, or a plugin file of yours."""
    from ganlab.cli import plugins

    plugins.plugins(name)


@cli.group(cls=Commands)
def new() -> None:
    """Write files to begin with: a trick, a metric, a recipe, or a plugin to publish. Each runs as it is."""


FILE = click.argument("file", type=click.Path(path_type=Path))


@new.command("trick")
@FILE
def new_trick(file: Path) -> None:
    """Write FILE, such as my_trick.py, with a trick, and a recipe that uses it."""
    from ganlab.cli import new

    new.trick(file)


@new.command("metric")
@FILE
def new_metric(file: Path) -> None:
    """Write FILE, such as my_metric.py, with a metric, and a recipe that uses it."""
    from ganlab.cli import new

    new.metric(file)


@new.command("recipe")
@FILE
def new_recipe(file: Path) -> None:
    """Write FILE, such as mine.toml: a recipe that changes a shipped one."""
    from ganlab.cli import new

    new.recipe(file)


@new.command("plugin")
@click.argument("name")
def new_plugin(name: str) -> None:
    """Make a folder NAME with a distribution: a plugin that installs, is found and runs, its tests and its README."""
    from ganlab.cli import new

    new.plugin(name)


@cli.command()
def schema() -> None:
    """Print the JSON schema of recipes, with the options of every installed plugin."""
    from ganlab.cli import look

    look.schema()


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; errors become one message and an exit code, never a traceback."""
    set_wait_policy()
    try:
        cli.main(arguments, prog_name="ganlab", standalone_mode=False)
    except GanlabError as error:
        from ganlab.screen.terminal import show_error

        show_error(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        from ganlab.screen.terminal import show_error

        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "ganlab"
        show_error(UsageError(error.format_message(), f"type `{command} --help`"))
        sys.exit(2)
    except OSError as error:
        from ganlab.screen.terminal import show_error

        show_error(GanlabError(str(error)))
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        print("stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
