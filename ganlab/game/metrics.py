"""What is measured: values wait on the device, and come to the host once per logging interval."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

FOLD_AT = 256  # values of one name that may wait before they are added up, so that memory stays bounded


class Metrics:
    """Means and sums over the logging interval and over the epoch.

    ``add`` only puts a value on a list: no device operation, no wait. ``interval()`` and ``epoch()`` add up and read. A mean is of
    the values that are finite; ``lost`` has the names of those that had others.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wide = torch.float32 if device.type == "mps" else torch.float64
        self.probabilities = True  # scores are logits: log sigmoid(score), and how often its side of 1/2 is right
        self._waiting: dict[str, list[tuple[Tensor | float, float]]] = {}
        self._scores: dict[str, list[Tensor]] = {}
        #: By span and name: the sum of the finite values, the sum of all weights, and (on the device) that of those left out.
        self._sums: dict[str, dict[str, tuple[Tensor, float, Tensor]]] = {"interval": {}, "epoch": {}}
        self.lost: set[str] = set()
        self._folded = False

    def add(self, name: str, value: Tensor | float, weight: float = 1.0) -> None:
        """One value of ``name``. The mean is the sum of the values over the sum of the weights; weight 0 makes it a plain sum."""
        waiting = self._waiting.setdefault(name, [])
        waiting.append((value.detach() if isinstance(value, Tensor) else value, weight))
        if len(waiting) >= FOLD_AT:
            self._fold(name)

    def add_scores(self, side: str, scores: Tensor) -> None:
        """The discriminator's scores on one side, ``(batch,)``, as it gave them."""
        waiting = self._scores.setdefault(side, [])
        waiting.append(scores.detach())
        if len(waiting) >= FOLD_AT:
            self._fold_scores(side)

    def interval(self) -> dict[str, float]:
        """The values since the last call, by name; they start anew."""
        return self._read("interval")

    def epoch(self) -> dict[str, float]:
        """The values since the last call, by name; they start anew."""
        return self._read("epoch")

    def state_dict(self) -> dict[str, Any]:
        """What waits and what is added up. Nothing is added up for it: another order of additions would change a metric's last bits."""
        waiting = {}
        for name, values in self._waiting.items():
            tensors = [(value.to(self.device, self.wide), weight) for value, weight in values if isinstance(value, Tensor)]
            waiting[name] = {
                "tensors": torch.stack([value for value, _ in tensors]) if tensors else None,
                "weights": [weight for _, weight in tensors],
                "numbers": [[value, weight] for value, weight in values if not isinstance(value, Tensor)],
            }
        scores = {side: {"values": torch.cat(waits), "lengths": [len(part) for part in waits]} for side, waits in self._scores.items()}
        sums = {span: {name: list(parts) for name, parts in sums.items()} for span, sums in self._sums.items()}
        return {"waiting": waiting, "scores": scores, "sums": sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave; what has waited since is dropped."""
        self._waiting = {}
        for name, waits in state["waiting"].items():
            tensors = [] if waits["tensors"] is None else waits["tensors"].to(self.device, self.wide).unbind()
            self._waiting[name] = [*zip(tensors, waits["weights"], strict=True), *((value, weight) for value, weight in waits["numbers"])]
        self._scores = {side: list(waits["values"].to(self.device).split(waits["lengths"])) for side, waits in state["scores"].items()}
        self._sums = {
            span: {name: (self._wide(total), float(weight), self._wide(lost)) for name, (total, weight, lost) in sums.items()}
            for span, sums in state["sums"].items()
        }

    def mark(self) -> dict[str, int]:
        """This moment, for :meth:`back`."""
        self._folded = False
        return {name: len(values) for waits in (self._waiting, self._scores) for name, values in waits.items()}

    def back(self, mark: dict[str, int]) -> bool:
        """Forget the values since ``mark``; False when they have been added up already."""
        if not self._folded:
            self._waiting = {name: values[: mark[name]] for name, values in self._waiting.items() if mark.get(name)}
            self._scores = {side: values[: mark[side]] for side, values in self._scores.items() if mark.get(side)}
        return not self._folded

    def _wide(self, value: Tensor) -> Tensor:
        return value.to(self.device, self.wide)

    def _read(self, span: str) -> dict[str, float]:
        self._fold_all()
        sums, self._sums[span] = self._sums[span], {}
        if not sums:
            return {}
        parts = [*(total for total, _, _ in sums.values()), *(lost for _, _, lost in sums.values())]
        read = torch.stack(parts).tolist()  # the one wait for the device
        means = {}
        for (name, (_, weight, _)), total, lost in zip(sums.items(), read[: len(sums)], read[len(sums) :], strict=True):
            if lost:
                self.lost.add(name)
            left = weight - lost
            means[name] = float("nan") if lost and not left else total / (left or 1.0)
        return means

    def _fold_all(self) -> None:
        for name in list(self._waiting):
            self._fold(name)
        for side in list(self._scores):
            self._fold_scores(side)

    def _fold(self, name: str) -> None:
        values = self._waiting.pop(name)
        by_weight: dict[float, list[Tensor]] = {}  # nearly always one: weights stay on the host, for a GPU would be waited for
        for value, weight in values:
            if isinstance(value, Tensor):
                by_weight.setdefault(weight, []).append(value)
        total = lost = torch.zeros((), dtype=self.wide, device=self.device)
        for weight, tensors in by_weight.items():
            stacked = self._stacked(tensors)  # (values,)
            if weight:  # else it is a sum, which has no mean to be saved
                left_out = ~stacked.isfinite()
                stacked, lost = stacked.masked_fill(left_out, 0), lost + self._wide(left_out.sum()) * weight
            total = total + stacked.sum()
        numbers = [(value, weight) for value, weight in values if not isinstance(value, Tensor)]
        left = [value for value, weight in numbers if math.isfinite(value) or not weight]
        gone = sum(weight for value, weight in numbers if not math.isfinite(value))
        self._count(name, total + sum(left), sum(weight for _, weight in values), lost + gone)

    def _stacked(self, values: list[Tensor]) -> Tensor:
        """All values in one wide tensor, ``(values,)``: in two operations, where they are of one kind."""
        alike = len({(value.dtype, value.device) for value in values}) == 1
        return self._wide(torch.stack(values)) if alike else torch.stack([self._wide(value) for value in values])

    def _fold_scores(self, side: str) -> None:
        scores = torch.cat(self._scores.pop(side)).to(self.wide)  # (values so far,)
        count = float(scores.numel())
        left_out = ~scores.isfinite()  # (values so far,)
        lost = left_out.sum().to(self.wide)
        probabilities = scores.sigmoid() if self.probabilities else scores
        self._count(f"score/{side}", probabilities.masked_fill(left_out, 0).sum(), count, lost)
        if self.probabilities:
            self._count(f"logit/{side}", scores.masked_fill(left_out, 0).sum(), count, lost)
            right = scores > 0 if side == "real" else scores < 0
            self._count(f"accuracy/{side}", right.masked_fill(left_out, False).to(self.wide).sum(), count, lost)

    def _count(self, name: str, total: Tensor, weight: float, lost: Tensor) -> None:
        self._folded = True
        for sums in self._sums.values():
            before = sums.get(name)
            sums[name] = (total, weight, lost) if before is None else (before[0] + total, before[1] + weight, before[2] + lost)
