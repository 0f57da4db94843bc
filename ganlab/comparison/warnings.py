"""What makes numbers that should not be compared, or not without a word."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.comparison.groups import Group, differences
from ganlab.comparison.results import CHANGED


def warnings(groups: Sequence[Group]) -> list[str]:
    """What makes numbers that should not be compared."""
    about = [result.about for group in groups for result in group.results if result.about]
    found = []
    for key, words in (("samples", "numbers of samples"), ("judge_identity", "judges")):
        values = {found_about[key] for found_about in about if key in found_about}
        if len(values) > 1:
            found.append(
                f"These runs were measured with different {words}: their numbers cannot be compared. `ganlab evaluate` measures anew."
            )
    data: dict[int, set[str]] = {}  # data sets that are drawn depend on the seed
    for group in groups:
        for result in group.results:
            data.setdefault(result.seed, set()).add(result.info.data.get("fingerprint", ""))
    if any(len(prints) > 1 for prints in data.values()) or any(key.startswith("data.") for key in differences(groups)):
        found.append("These runs were trained on different data, or on the same in another range; the latter does no harm.")
    if len({repr(sorted(result.measured_by.items())) for group in groups for result in group.results if result.values}) > 1:
        found.append("The metrics of these runs have different options: their numbers cannot be compared. `ganlab evaluate` measures anew.")
    for group in groups:
        changed = [(key, text) for key, text in group.options.items() if key.startswith(CHANGED)]
        found += [f"{', '.join(result.id for result in group.results)} {key}: {text}." for key, text in changed]
        if len(group.results) > len(group.seeds):
            found.append(f"{group.name} has several runs of one seed: of each seed the last that is finished counts.")
        before = [(result.id, result.gone_on) for result in group.results if result.gone_on is not None]
        found += [f"{name} has gone on to step {now:,}; its numbers are of step {then:,}." for name, (then, now) in before]
        behind = [name for name, _ in before]
        early = [result.id for result in group.results if result.values and not result.finished and result.id not in behind]
        if early:
            found.append(f"{', '.join(early)} had not spent the budget when measured.")
    return found
