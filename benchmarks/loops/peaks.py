"""What the machine can do at its best: the rate of a large matrix product, and of a large copy (a read and a write of each byte).

The product is torch's own or oneDNN's, whichever is the quicker one here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import torch

from ganlab_networks.products import ONEDNN, works
from loops.common import begin

SIDE = 1536
NUMBERS = 32 * 2**20  # 128 MiB: more than any cache
TIMES = 7


def best(act: Callable[[], object]) -> float:
    """Seconds of the quickest of some calls, after one that warms up."""
    act()
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    begin()
    a, b, c = (torch.randn(SIDE, SIDE) for _ in range(3))
    product = best(lambda: torch.mm(a, b, out=c))
    if works():
        product = min(product, best(lambda: ONEDNN.input_gradient(a, b)))
    source, target = torch.ones(NUMBERS), torch.zeros(NUMBERS)
    copy = best(lambda: target.copy_(source))
    print(json.dumps({"flops": 2 * SIDE**3 / product, "bytes": 2 * 4 * NUMBERS / copy}), flush=True)


if __name__ == "__main__":
    main()
