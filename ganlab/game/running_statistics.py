"""The running statistics of batch normalization, put back after a turn whose numbers were not finite: its passes have moved them."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.components import Role
from ganlab.game.player import Player

#: Where a buffer is: a module's dict of buffers, and the buffer's name.
BufferSlot = tuple[dict[str, Tensor | None], str]


class RunningStatistics:
    """A copy of both networks' buffers. Networks without any cost nothing."""

    def __init__(self, players: dict[Role, Player]) -> None:
        self.players = players
        self.kept = False
        self._slots: list[BufferSlot] | None = None
        self._copies: list[Tensor] = []

    @property
    def empty(self) -> bool:
        """Whether there are no buffers."""
        return not self._buffer_slots()

    def keep(self) -> None:
        """Copy the buffers as they are now."""
        if not self._buffer_slots():
            return
        now = self._now()
        if len(self._copies) != len(now):
            self._copies = [torch.empty_like(buffer) for buffer in now]
        with torch.no_grad():
            torch._foreach_copy_(self._copies, now)
        self.kept = True

    def put_back(self, found: Tensor | None = None) -> None:
        """Make the buffers what they were when they were kept: all of them, or (without a wait) only if ``found`` is 1."""
        if not self.kept:
            return
        with torch.no_grad():
            for buffer, copy in zip(self._now(), self._copies, strict=True):
                buffer.copy_(copy if found is None else torch.where(found.bool(), copy, buffer))

    def forget(self) -> None:
        """The networks are put into another state: the copy is none of it."""
        self.kept = False

    def _buffer_slots(self) -> list[BufferSlot]:
        if self._slots is None:
            modules = [module for player in self.players.values() for module in player.network.modules()]
            self._slots = [(module._buffers, name) for module in modules for name in module._buffers]
        return self._slots

    def _now(self) -> list[Tensor]:
        """The buffers themselves: looked up each time, for a module may put another tensor there."""
        return [buffer for buffers, name in self._buffer_slots() if (buffer := buffers[name]) is not None]
