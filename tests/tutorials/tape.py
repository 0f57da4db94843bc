"""What one step of a run drew, for a port to draw again in the same order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from torch import Tensor


class TapeError(AssertionError):
    """A port wants to draw what the run did not, or leaves what it did."""


class Tape:
    """The draws of one step: each kind in the order in which it was drawn.

    Args:
        reals: real batches, each ``(count, values)``: images are flattened.
        latents: latents, each ``(count, dimension)``. One that several turns share stands here once.
        masks: dropout masks, each ``(rows, units)``, of 0 and 1 / (1 - p): what the units are multiplied by.
    """

    def __init__(self, reals: Iterable[Tensor], latents: Iterable[Tensor], masks: Iterable[Tensor] = ()) -> None:
        self._left = {"real batch": deque(reals), "latent": deque(latents), "dropout mask": deque(masks)}

    def real(self) -> Tensor:
        """The next real batch."""
        return self._next("real batch")

    def latent(self) -> Tensor:
        """The next latent."""
        return self._next("latent")

    def mask(self) -> Tensor:
        """The next dropout mask."""
        return self._next("dropout mask")

    def finish(self) -> None:
        """The step is over.

        Raises:
            TapeError: something that the run drew was not used.
        """
        left = {kind: len(queue) for kind, queue in self._left.items() if queue}
        if left:
            raise TapeError(f"the run drew more than the port did: {left}")

    def _next(self, kind: str) -> Tensor:
        if not self._left[kind]:
            raise TapeError(f"the port wants one more {kind} than the run drew")
        return self._left[kind].popleft()
