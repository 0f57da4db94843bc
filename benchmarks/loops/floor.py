"""The floor: a step's matrix products, into buffers that are there already, and one flat fused Adam for each player. Nothing else.

No data, no activations, no losses, no dropout: what is multiplied is noise, and what comes out of one product is not what goes into
the next. The products are those of :func:`support.products.step`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from support.products import Operation, Role, parameters, step, widths
from support.setting import Setting
from torch import Tensor

from loops.common import Account, begin


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

    def do(self, operation: Operation) -> None:
        """The operation's products, or the update."""
        if operation.kind == "update":
            self.adam.step()
            return
        values, slopes = self.buffers[operation.rows]
        if operation.kind == "forward":
            for layer, weight in enumerate(self.weights):
                torch.mm(values[layer], weight.T, out=values[layer + 1])
        elif operation.kind == "weights":
            for layer, gradient in enumerate(self.gradients):
                torch.mm(slopes[layer + 1].T, values[layer], out=gradient)
        else:
            for layer in range(len(self.weights) - 1, -1 if operation.whole else 0, -1):
                torch.mm(slopes[layer + 1], self.weights[layer], out=slopes[layer])


def main() -> None:
    setting = begin()
    operations = step(setting)
    networks = {role: Flat(setting, role) for role in ("generator", "discriminator")}  # type: ignore[arg-type]
    for operation in operations:
        networks[operation.network].prepare(operation.rows or 1)
    turns = {role: [o for o in operations if o.turn == role] for role in ("discriminator", "generator")}
    updates = {role: sum(o.kind == "update" for o in turns[role]) for role in turns}
    account, owed, played = Account(setting), 0.0, 0
    with torch.no_grad():
        for _ in range(setting.steps):
            for operation in turns["discriminator"]:
                networks[operation.network].do(operation)
            owed += setting.generator_rate
            while owed >= 1:
                owed -= 1
                played += 1
                for operation in turns["generator"]:
                    networks[operation.network].do(operation)
    account.updates = {"discriminator": updates["discriminator"] * setting.steps, "generator": updates["generator"] * played}
    account.end()


if __name__ == "__main__":
    main()
