"""The saved views of an experiment in MLflow's pages: which charts stand where, and how runs are grouped.

MLflow (3.17) keeps a saved view as a tag of the experiment, ``mlflow.sharedViewState.KEY``: a name, times, and the state of the page, which
``viewStateShareKey=KEY`` in the page's address opens. Charts that a view does not name are added by the page, in the sections that
the part of their names before the slash says; so a view names the sections in the order of interest, and of the charts only the pictures.
An older MLflow that knows no such tags shows its own arrangement.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

SHEETS = "samples"  # the key of the sample sheets
LAST_SHEET = "final/samples"  # of each run's last one, at step 0 in all of them: it is there without a slider
GROUPED_BY = "ganlab.group"
TAG = "mlflow.sharedViewState."
# A tag of the experiment: the key of the view that `ganlab ui` opens. Once it is there, the views are the user's.
CHOSEN = "ganlab.view"
SECTIONS = ("final", "quality", "loss")  # first, in this order; all others follow


def make_views(client: MlflowClient, experiment_id: str, milliseconds: int) -> None:
    """Save the views, unless that has been done before: what a user has changed or deleted since stays so.

    Args:
        client: of MLflow. experiment_id: where.
        milliseconds: the time, since 1970.
    """
    if CHOSEN in client.get_experiment(experiment_id).tags:
        return
    for key, (name, state) in views().items():
        envelope = {"name": name, "createdAt": milliseconds, "updatedAt": milliseconds, "state": json.dumps(state)}
        client.set_experiment_tag(experiment_id, f"{TAG}{key}", json.dumps(envelope))
    client.set_experiment_tag(experiment_id, CHOSEN, next(iter(views())))


def views() -> dict[str, tuple[str, dict[str, Any]]]:
    """Name and state of each view by its key, that of choice first.

    Groups of runs have no pictures in MLflow: so one view has each run in its charts, the other the mean over the seeds.
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
        "isAccordionReordered": True,  # or the page sorts the sections by name
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": GROUPED_BY}]},
        "useGroupedValuesInCharts": means,
        "runsHiddenMode": "FIRST_20_RUNS",  # the page's own choice is ten
        "hideEmptyCharts": True,
    }


def _section(name: str, **shape: int) -> dict[str, Any]:
    return {"uuid": f"ganlab-{name}", "name": name, "display": True, "isReordered": False, **shape}


def _image(key: str) -> dict[str, Any]:
    """A grid of pictures; the parameters, which MLflow prints above each and which hide it, are left out."""
    card = {"type": "IMAGE", "uuid": f"ganlab-image-{key}", "metricSectionId": f"ganlab-{SHEETS}", "isGenerated": True, "deleted": False}
    return {**card, "imageKeys": [key], "step": 0, "showRunParams": False, "runsCountToCompare": 10}
