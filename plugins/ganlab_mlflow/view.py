"""The saved views of an experiment in MLflow's UI: the order of the charts, and how runs are grouped.

MLflow (3.17) keeps a saved view as a tag of the experiment, ``mlflow.sharedViewState.KEY``: a name, times, and the state of the page.
``viewStateShareKey=KEY`` in the page's address opens it. The page adds charts that a view does not name, in the section that the part of
their names before the slash names. So a view lists the sections in order, and only the charts of pictures. An older MLflow that does not
know these tags shows its own arrangement.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

SHEETS = "samples"  # the key of the sample sheets
LAST_SHEET = "final/samples"  # the key of each run's last sheet, at step 0 in all runs: it is shown without a slider
GROUPED_BY = "ganlab.group"
TAG = "mlflow.sharedViewState."
# A tag of the experiment: the key of the view that `ganlab ui` opens. Once it exists, the views belong to the user.
CHOSEN = "ganlab.view"
SECTIONS = ("final", "quality", "loss")  # first, in this order; all others follow


def make_views(client: MlflowClient, experiment_id: str, milliseconds: int) -> None:
    """Save the views, unless that has been done before: what a user has changed or deleted stays as it is.

    Args:
        client: of MLflow. experiment_id: the experiment.
        milliseconds: the time since 1970.
    """
    if CHOSEN in client.get_experiment(experiment_id).tags:
        return
    for key, (name, state) in views().items():
        envelope = {"name": name, "createdAt": milliseconds, "updatedAt": milliseconds, "state": json.dumps(state)}
        client.set_experiment_tag(experiment_id, f"{TAG}{key}", json.dumps(envelope))
    client.set_experiment_tag(experiment_id, CHOSEN, next(iter(views())))


def views() -> dict[str, tuple[str, dict[str, Any]]]:
    """Name and state of each view by its key, the default first.

    MLflow shows no pictures of groups of runs. So one view has a chart line for each run, and the other the mean over the seeds.
    """
    pictures = [_section(SHEETS, columns=1, cardHeight=620)]
    first, *rest = [_section(name) for name in SECTIONS]
    return {
        "ganlab-runs": ("Runs and samples", _state([first, *pictures, *rest], [_image(LAST_SHEET), _image(SHEETS)], means=False)),
        "ganlab-means": ("Means over seeds", _state([first, *rest], [], means=True)),
    }


def _state(sections: list[dict[str, Any]], charts: list[dict[str, Any]], means: bool) -> dict[str, Any]:
    return {
        "compareRunSections": sections,
        "compareRunCharts": charts,
        "isAccordionReordered": True,  # otherwise the page sorts the sections by name
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": GROUPED_BY}]},
        "useGroupedValuesInCharts": means,
        "runsHiddenMode": "FIRST_20_RUNS",  # the page's default is ten
        "hideEmptyCharts": True,
    }


def _section(name: str, **shape: int) -> dict[str, Any]:
    return {"uuid": f"ganlab-{name}", "name": name, "display": True, "isReordered": False, **shape}


def _image(key: str) -> dict[str, Any]:
    """A grid of pictures, without the parameters, which MLflow would print over each."""
    card = {"type": "IMAGE", "uuid": f"ganlab-image-{key}", "metricSectionId": f"ganlab-{SHEETS}", "isGenerated": True, "deleted": False}
    return {**card, "imageKeys": [key], "step": 0, "showRunParams": False, "runsCountToCompare": 10}
