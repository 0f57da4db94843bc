"""Warnings about runs whose values cannot be compared, or only with caution."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.comparison.groups import RunGroup, differences
from ganlab.recipe.differences import is_part_of

AGAIN = "`ganlab evaluate` measures them again."


def warnings(groups: Sequence[RunGroup]) -> list[str]:
    """The warnings about these groups, each one or two sentences."""
    about_groups = [text for group in groups for text in _about(group)]
    return [*_about_measurement(groups), *_about_data(groups), *_about_metrics(groups), *about_groups]


def _about_measurement(groups: Sequence[RunGroup]) -> list[str]:
    about = [result.about for group in groups for result in group.results if result.about]
    return [
        f"These runs were measured with different {words}: their numbers cannot be compared. {AGAIN}"
        for key, words in (("samples", "numbers of samples"), ("judge_identity", "judges"))
        if len({values[key] for values in about if key in values}) > 1
    ]


def _about_data(groups: Sequence[RunGroup]) -> list[str]:
    fingerprints: dict[int, set[str]] = {}  # by seed: the samples of a synthetic data set depend on it
    for group in groups:
        for result in group.results:
            fingerprints.setdefault(result.seed, set()).add(result.info.data.get("fingerprint", ""))
    differ = any(len(of_one_seed) > 1 for of_one_seed in fingerprints.values())
    if differ or any(is_part_of(key, ("data",)) for key in differences(groups)):
        return ["These runs were trained on different data, or on the same data in another range, which does no harm."]
    return []


def _about_metrics(groups: Sequence[RunGroup]) -> list[str]:
    if len({repr(sorted(result.metric_options.items())) for group in groups for result in group.results if result.values}) > 1:
        return [f"The metrics of these runs have different options: their numbers cannot be compared. {AGAIN}"]
    return []


def _about(group: RunGroup) -> list[str]:
    """The warnings about one group."""
    names = ", ".join(result.id for result in group.results)
    texts = [f"{names} changed at step {step}: {text}." for step, text in group.changes.items()]
    if len(group.results) > len(group.seeds):
        texts.append(f"{group.name} has several runs with one seed: of these, the last finished run counts.")
    unfinished = []
    for result in group.results:
        if result.outdated_steps is not None:
            step, current = result.outdated_steps
            texts.append(f"{result.id} was resumed and is now at step {current:,}; its numbers are from step {step:,}.")
        elif result.values and not result.finished:
            unfinished.append(result.id)
    if unfinished:
        texts.append(f"{', '.join(unfinished)} had not finished training when measured.")
    return texts
