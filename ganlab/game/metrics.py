"""Metrics: measured values stay on the device, and are copied to the CPU once per logging interval."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

FOLD_AT = 256  # values of one name that are kept, at most, before they are added up: they take memory


class Metrics:
    """Means and sums over the logging interval and over the epoch.

    ``add`` only appends a value to a list, without a device operation or a wait. ``interval()`` and ``epoch()`` add the values up and read
    the results. A mean is taken over the finite values only.

    Attributes:
        probabilities: whether scores are logits: then the mean of sigmoid(score) is logged, with the mean logit and the accuracy.
        lost: names of the metrics that had values that were not finite.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wide = torch.float32 if device.type == "mps" else torch.float64
        self.probabilities = True
        self._pending: dict[str, list[tuple[Tensor | float, float]]] = {}
        self._scores: dict[str, list[Tensor]] = {}
        #: By span and name: the sum of the finite values, the sum of all weights, and the sum of the weights of values that are not finite.
        self._sums: dict[str, dict[str, tuple[Tensor, float, Tensor]]] = {"interval": {}, "epoch": {}}
        self.lost: set[str] = set()
        self._folded = False

    def add(self, name: str, value: Tensor | float, weight: float = 1.0) -> None:
        """Add a value. The mean is the sum of the values divided by the sum of the weights; with weight 0 the metric is a sum."""
        values = self._pending.setdefault(name, [])
        values.append((value.detach() if isinstance(value, Tensor) else value, weight))
        if len(values) >= FOLD_AT:
            self._fold(name)

    def add_scores(self, side: str, scores: Tensor) -> None:
        """Add the discriminator's scores of one side, ``(batch,)``, as the network returned them."""
        batches = self._scores.setdefault(side, [])
        batches.append(scores.detach())
        if len(batches) >= FOLD_AT:
            self._fold_scores(side)

    def interval(self) -> dict[str, float]:
        """The metrics of the values since the last call, by name."""
        return self._read("interval")

    def epoch(self) -> dict[str, float]:
        """The metrics of the values since the last call, by name."""
        return self._read("epoch")

    def state_dict(self) -> dict[str, Any]:
        """The values that are not added up yet, and the sums.

        Values are not added up here: another order of additions would change a metric's last bits.
        """
        pending = {}
        for name, values in self._pending.items():
            tensors = [(value.to(self.device, self.wide), weight) for value, weight in values if isinstance(value, Tensor)]
            pending[name] = {
                "tensors": torch.stack([value for value, _ in tensors]) if tensors else None,
                "weights": [weight for _, weight in tensors],
                "numbers": [[value, weight] for value, weight in values if not isinstance(value, Tensor)],
            }
        scores = {
            side: {"values": torch.cat(batches), "lengths": [len(batch) for batch in batches]} for side, batches in self._scores.items()
        }
        sums = {span: {name: list(parts) for name, parts in sums.items()} for span, sums in self._sums.items()}
        return {"waiting": pending, "scores": scores, "sums": sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state, and discard values that were added since."""
        self._pending = {}
        for name, pending in state["waiting"].items():
            tensors = [] if pending["tensors"] is None else pending["tensors"].to(self.device, self.wide).unbind()
            numbers = [(value, weight) for value, weight in pending["numbers"]]
            self._pending[name] = [*zip(tensors, pending["weights"], strict=True), *numbers]
        self._scores = {side: list(saved["values"].to(self.device).split(saved["lengths"])) for side, saved in state["scores"].items()}
        self._sums = {
            span: {name: (self._wide(total), float(weight), self._wide(lost)) for name, (total, weight, lost) in sums.items()}
            for span, sums in state["sums"].items()
        }

    def mark(self) -> dict[str, int]:
        """A mark of the current moment, for :meth:`rewind`."""
        self._folded = False
        return {name: len(values) for lists in (self._pending, self._scores) for name, values in lists.items()}

    def rewind(self, mark: dict[str, int]) -> bool:
        """Discard the values that were added since ``mark``. Returns False if they are already part of a sum."""
        if not self._folded:
            self._pending = {name: values[: mark[name]] for name, values in self._pending.items() if mark.get(name)}
            self._scores = {side: values[: mark[side]] for side, values in self._scores.items() if mark.get(side)}
        return not self._folded

    def _wide(self, value: Tensor) -> Tensor:
        return value.to(self.device, self.wide)

    def _read(self, span: str) -> dict[str, float]:
        for name in list(self._pending):
            self._fold(name)
        for side in list(self._scores):
            self._fold_scores(side)
        sums, self._sums[span] = self._sums[span], {}
        if not sums:
            return {}
        parts = [*(total for total, _, _ in sums.values()), *(lost for _, _, lost in sums.values())]
        read = torch.stack(parts).tolist()  # the only wait for the device
        means = {}
        for (name, (_, weight, _)), total, lost in zip(sums.items(), read[: len(sums)], read[len(sums) :], strict=True):
            if lost:
                self.lost.add(name)
            kept = weight - lost
            means[name] = float("nan") if lost and not kept else total / (kept or 1.0)
        return means

    def _fold(self, name: str) -> None:
        values = self._pending.pop(name)
        by_weight: dict[float, list[Tensor]] = {}  # nearly always one; a weight on a GPU would mean a wait
        for value, weight in values:
            if isinstance(value, Tensor):
                by_weight.setdefault(weight, []).append(value)
        total = lost = torch.zeros((), dtype=self.wide, device=self.device)
        for weight, tensors in by_weight.items():
            stacked = self._stacked(tensors)  # (values,)
            if weight:  # else it is a sum, in which numbers that are not finite are kept
                not_finite = ~stacked.isfinite()
                stacked, lost = stacked.masked_fill(not_finite, 0), lost + self._wide(not_finite.sum()) * weight
            total = total + stacked.sum()
        numbers = [(value, weight) for value, weight in values if not isinstance(value, Tensor)]
        kept = [value for value, weight in numbers if math.isfinite(value) or not weight]
        lost_numbers = sum(weight for value, weight in numbers if not math.isfinite(value))
        self._add_to_sums(name, total + sum(kept), sum(weight for _, weight in values), lost + lost_numbers)

    def _stacked(self, values: list[Tensor]) -> Tensor:
        """All values in one wide tensor, ``(values,)``. Two operations suffice if they have the same dtype and device."""
        same_kind = len({(value.dtype, value.device) for value in values}) == 1
        return self._wide(torch.stack(values)) if same_kind else torch.stack([self._wide(value) for value in values])

    def _fold_scores(self, side: str) -> None:
        scores = torch.cat(self._scores.pop(side)).to(self.wide)  # (values so far,)
        count = float(scores.numel())
        not_finite = ~scores.isfinite()  # (values so far,)
        lost = not_finite.sum().to(self.wide)
        probabilities = scores.sigmoid() if self.probabilities else scores
        self._add_to_sums(f"score/{side}", probabilities.masked_fill(not_finite, 0).sum(), count, lost)
        if self.probabilities:
            self._add_to_sums(f"logit/{side}", scores.masked_fill(not_finite, 0).sum(), count, lost)
            right = scores > 0 if side == "real" else scores < 0
            self._add_to_sums(f"accuracy/{side}", right.masked_fill(not_finite, False).to(self.wide).sum(), count, lost)

    def _add_to_sums(self, name: str, total: Tensor, weight: float, lost: Tensor) -> None:
        self._folded = True
        for sums in self._sums.values():
            before = sums.get(name)
            sums[name] = (total, weight, lost) if before is None else (before[0] + total, before[1] + weight, before[2] + lost)
