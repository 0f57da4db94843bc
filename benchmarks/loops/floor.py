"""The floor: a step's matrix products, into buffers that are there already, and one flat fused Adam for each player. Nothing else.

No data, no activations, no losses, no dropout: what is multiplied is noise, and what comes out of one product is not what goes into
the next. The products are those of :func:`support.products.step`, each by torch's own routine or by oneDNN, whichever is the quicker one
for matrices of its shape here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import torch
from support.products import Operation, Role, parameters, step, widths
from support.setting import Setting
from torch import Tensor

from ganlab_networks.products import ONEDNN, works
from loops.common import Account, begin

Do = Callable[[], object]


class Flat:
    """A network as the floor knows it: flat weights and gradients, and an activation and its gradient for every width and batch."""

    def __init__(self, setting: Setting, role: Role) -> None:
        self.widths = widths(setting, role)
        table, size = setting.document[role]["optimizer"], parameters(setting, role)
        self.flat = torch.nn.Parameter(torch.randn(size) * 0.01)
        self.flat.grad = torch.zeros(size)
        self.adam = torch.optim.Adam([self.flat], lr=table["lr"], betas=tuple(table["betas"]), eps=table["eps"], fused=True)
        self.weights, self.gradients = self._views(self.flat.data), self._views(self.flat.grad)
        self.buffers: dict[int, tuple[list[Tensor], list[Tensor]]] = {}

    def _views(self, flat: Tensor) -> list[Tensor]:
        found, place = [], 0
        for inputs, outputs in pairwise(self.widths):
            found.append(flat[place : place + inputs * outputs].view(outputs, inputs))
            place += inputs * outputs
        return found

    def prepare(self, rows: int) -> None:
        """Make the buffers of a batch size."""
        if rows not in self.buffers:
            self.buffers[rows] = tuple([torch.randn(rows, width) * 0.01 for width in self.widths] for _ in range(2))  # type: ignore[assignment]

    def calls(self, operation: Operation) -> list[Do]:
        """The operation's products, or the update."""
        if operation.kind == "update":
            return [self.adam.step]
        values, slopes = self.buffers[operation.rows]
        layers = range(len(self.weights))
        if operation.kind == "forward":
            return [forward(values[layer], self.weights[layer], values[layer + 1]) for layer in layers]
        if operation.kind == "weights":
            return [weight_gradient(slopes[layer + 1], values[layer], self.gradients[layer]) for layer in layers]
        return [
            input_gradient(slopes[layer + 1], self.weights[layer], slopes[layer])
            for layer in reversed(layers[0 if operation.whole else 1 :])
        ]


def forward(x: Tensor, weight: Tensor, y: Tensor) -> Do:
    nothing = torch.zeros(len(weight))
    return quicker(lambda: torch.mm(x, weight.T, out=y), lambda: ONEDNN.linear(x, weight, nothing))


def weight_gradient(slope: Tensor, x: Tensor, gradient: Tensor) -> Do:
    return quicker(lambda: torch.mm(slope.T, x, out=gradient), lambda: ONEDNN.weight_gradient(slope, x))


def input_gradient(slope: Tensor, weight: Tensor, result: Tensor) -> Do:
    return quicker(lambda: torch.mm(slope, weight, out=result), lambda: ONEDNN.input_gradient(slope, weight))


def quicker(torchs: Do, onednns: Do) -> Do:
    """Whichever of the two took less time at its best, of eight times in turns."""
    best = {torchs: float("inf")}
    if works():
        best[onednns] = float("inf")
    for _ in range(8):
        for call in best:
            began = time.perf_counter()
            call()
            best[call] = min(best[call], time.perf_counter() - began)
    return min(best, key=lambda call: best[call])


def main() -> None:
    setting = begin()
    operations = step(setting)
    networks = {role: Flat(setting, role) for role in ("generator", "discriminator")}  # type: ignore[arg-type]
    for operation in operations:
        networks[operation.network].prepare(operation.rows or 1)
    turns = {role: [o for o in operations if o.turn == role] for role in ("discriminator", "generator")}
    updates = {role: sum(o.kind == "update" for o in turns[role]) for role in turns}
    with torch.no_grad():
        calls = {role: [call for o in turns[role] for call in networks[o.network].calls(o)] for role in turns}
    account, owed, played = Account(setting), 0.0, 0
    with torch.no_grad():
        for _ in range(setting.steps):
            for call in calls["discriminator"]:
                call()
            owed += setting.generator_rate
            while owed >= 1:
                owed -= 1
                played += 1
                for call in calls["generator"]:
                    call()
    account.updates = {"discriminator": updates["discriminator"] * setting.steps, "generator": updates["generator"] * played}
    account.end()


if __name__ == "__main__":
    main()
