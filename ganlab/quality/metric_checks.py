"""Checks that a plugin's metric implements the protocol, before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from ganlab.errors import PluginError, did_you_mean
from ganlab.evaluation import Better, Metric, Needs


def check_metric(owner: str, metric: Metric) -> None:
    """Check that a metric has what :class:`ganlab.evaluation.Metric` requires.

    Args:
        owner: the metric and its plugin, for error messages.
        metric: an instance.

    Raises:
        PluginError: an attribute or method is missing, or has an invalid value.
    """
    directions, needs = get_args(Better), get_args(Needs)
    if not isinstance(getattr(metric, "results", None), Mapping) or not metric.results:
        raise PluginError(f"{owner} has no `results`", 'write `results = {"my_number": "lower"}` into its class')
    for name, direction in metric.results.items():
        if direction not in directions:
            raise PluginError(f"{owner}: results['{name}'] is {direction!r}", did_you_mean(str(direction), directions))
    for name in getattr(metric, "main_results", ()):
        if metric.results.get(name, "neither") == "neither":
            raise PluginError(
                f"{owner}: `main_results` names {name!r}, which has no direction in `results`", 'write "higher" or "lower" there'
            )
    if getattr(metric, "needs", None) not in needs:
        value = getattr(metric, "needs", None)
        raise PluginError(f"{owner}: `needs` is {value!r}", did_you_mean(str(value), needs))
    if not isinstance(getattr(metric, "quick", None), bool):
        value = getattr(metric, "quick", None)
        raise PluginError(
            f"{owner}: `quick` is {value!r}", "write `quick = True` (also measured during training) or `quick = False` into its class"
        )
    if not callable(getattr(metric, "measure", None)):
        raise PluginError(f"{owner} has no method measure", "def measure(self, evidence): return {...}")
