"""``python -m ganlab_mlflow RUN``: send a run to MLflow that could not be sent while it went on, or send it elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from filelock import Timeout

from ganlab_mlflow import describe
from ganlab_mlflow.mirror import Mirror
from ganlab_mlflow.place import Settings, redacted, tracking_uri
from ganlab_mlflow.process import quieten, the_only_one

PATIENCE = 10.0  # seconds to wait for another process that sends the same run


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--tracking-uri", "uri", default="", help="Where to.  [default: as the recipe says, else MLFLOW_TRACKING_URI, else mlflow.db]"
)
@click.option("--experiment", default="", help="Name of the experiment.  [default: as the recipe says, else ganlab]")
def send(run: Path, uri: str, experiment: str) -> None:
    """Send RUN, a run's folder, to MLflow: what is missing there, or all of it. Sending twice changes nothing."""
    try:
        tracking = describe.read_recipe(run).get("tracking", {})
        status = describe.read_info(run).get("status", "")
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{run} is not a run's folder: {error}; `ganlab runs` lists them") from None
    uri = tracking_uri(uri or tracking.get("uri", ""), run)
    quieten()
    try:
        with the_only_one(run, PATIENCE):
            mirror = Mirror(Settings(str(run.resolve()), uri, experiment or tracking.get("experiment", "ganlab")))
            if not mirror.attempt(last=status != "running"):
                raise click.ClickException(f"MLflow at {redacted(uri)} cannot be used: {mirror.state.problem}")
    except Timeout:
        raise click.ClickException(f"another process is sending {run} to MLflow; wait until it is done") from None
    click.echo(f"{run} is in MLflow at {redacted(uri)}, experiment '{mirror.state.experiment}'")


if __name__ == "__main__":
    sys.exit(send())
