"""A copy of the running statistics of batch normalization, to restore them after a turn that was not finite."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.components import Role
from ganlab.game.player import Player

#: A module's dict of buffers, and a name in it.
BufferLocation = tuple[dict[str, Tensor | None], str]


class RunningStatistics:
    """A copy of both networks' buffers. Does nothing if there are none.

    Attributes:
        saved: whether there is a copy of the current state.
    """

    def __init__(self, players: dict[Role, Player]) -> None:
        self.players = players
        self.saved = False
        self._locations: list[BufferLocation] | None = None
        self._copies: list[Tensor] = []

    @property
    def empty(self) -> bool:
        """Whether the networks have no buffers."""
        return not self._buffer_locations()

    def save(self) -> None:
        """Copy the current buffers."""
        if not self._buffer_locations():
            return
        buffers = self._current()
        if len(self._copies) != len(buffers):
            self._copies = [torch.empty_like(buffer) for buffer in buffers]
        with torch.no_grad():
            torch._foreach_copy_(self._copies, buffers)
        self.saved = True

    def restore(self, flag: Tensor | None = None) -> None:
        """Restore the buffers from the copy, if there is one.

        Args:
            flag: () on the device. If it is there, buffers are restored only if it is 1, without waiting for the device.
        """
        if not self.saved:
            return
        with torch.no_grad():
            for buffer, copy in zip(self._current(), self._copies, strict=True):
                buffer.copy_(copy if flag is None else torch.where(flag.bool(), copy, buffer))

    def discard(self) -> None:
        """Discard the copy: the networks have been set to another state."""
        self.saved = False

    def _buffer_locations(self) -> list[BufferLocation]:
        if self._locations is None:
            modules = [module for player in self.players.values() for module in player.network.modules()]
            self._locations = [(module._buffers, name) for module in modules for name in module._buffers]
        return self._locations

    def _current(self) -> list[Tensor]:
        """The buffers themselves, looked up each time, because a module may have replaced one."""
        return [buffer for buffers, name in self._buffer_locations() if (buffer := buffers[name]) is not None]
