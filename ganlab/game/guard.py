"""Numbers that are not finite: found in each turn before its update, kept away from the weights, reported, and acted upon.

What is looked at is the turn's loss, which is not finite as soon as one of its terms is not, and all gradients. The look is one
operation on the device that leaves a 0 or a 1 there. On the CPU it is read at once. On an accelerator nobody waits for it: it goes
to the optimizer as ``found_inf``, which torch's fused optimizers honour on the device, and is read with the metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.components import Role
from ganlab.errors import NonFiniteError
from ganlab.game.culprit import Culprit, look_at
from ganlab.game.metrics import Metrics
from ganlab.game.player import Player
from ganlab.game.running_statistics import RunningStatistics
from ganlab.game.turn import Change, Turn
from ganlab.recipe import Train

READ_AT = 1024  # turns that may wait to be read on an accelerator, so that memory stays bounded
WHAT_HELPS = "try a lower learning rate, or the tricks gradient_clipping and clamp"
ON_ITS_OWN = 'train.non_finite = "skip" or "rollback" lets a run go on by itself'


@dataclass
class Waiting:
    """A turn on an accelerator whose flag has not been read: everything about it that a report names, on the device."""

    turn: tuple[Role, int, int]  # role, step, repeat
    found: Tensor  # (), 1 when this turn or, where updates are frozen, one before it was not finite
    names: list[str]
    values: list[Tensor]  # of the loss terms of these names, and of their sum: scalars
    changes: list[Change]


class Guard:
    """Keeps numbers that are not finite away from the weights.

    Once such a turn is found, ``stop`` and ``rollback`` let no further update through, so that the weights stay those before it;
    ``skip`` withholds that update alone. The running statistics of batch normalization are put back as well: on the CPU, and for
    ``skip``, to what they were before the turn; else (a choice of tensors for each turn is not free) to what was last read.

    Attributes:
        times: how often the recipe's policy has been used up to now: updates skipped, or returns to a checkpoint.
        report: the first turn that was not finite and that no policy has dealt with, in words; empty while there is none.
        told: whether a turn that was not finite has been told of since metrics were logged.
        updated: whether an update of this step may have reached the weights.
    """

    def __init__(
        self, train: Train, device: torch.device, players: dict[Role, Player], metrics: Metrics, announce: Callable[[str], None]
    ) -> None:
        self.policy, self.most = train.non_finite, train.non_finite_most
        self.players, self.metrics, self.announce = players, metrics, announce
        self.on_host = device.type == "cpu"  # reading a flag there costs nothing
        self.frozen: Tensor | None = None  # on an accelerator: 1 once updates are frozen
        self.waiting: list[Waiting] = []
        self.times = 0
        self.report = ""
        self.told = False
        self.stepped: set[Role] = set()  # whose optimizer has taken a step since its state was put there
        self.updated = False
        self.begun = 0  # groups of this step whose networks have been called
        self.statistics = RunningStatistics(players)

    @property
    def halted(self) -> bool:
        """Whether no further turn is to be played, as far as the host knows."""
        return bool(self.report)

    def begin_step(self) -> None:
        """Nothing of a new step has happened yet."""
        self.updated, self.begun = False, 0

    def begin_group(self) -> None:
        """The networks are about to be called for the turns of a group."""
        self.begun += 1
        if self.on_host or self.policy == "skip" or not self.statistics.kept:
            self.statistics.keep()

    def undo_passes(self) -> bool:
        """Put back what the networks' passes have moved since the step began; False where that is gone."""
        if not self.begun or self.statistics.empty:
            return True
        if self.begun > 1 or not (self.on_host or self.policy == "skip"):
            return False
        self.statistics.put_back()
        return True

    def update(self, turn: Turn) -> None:
        """The turn's update, unless a number of it is not finite."""
        if self.halted:  # by another turn of the same group
            return
        found = self._found(turn)
        if self.on_host or not _honours_found_inf(turn.player.optimizer) or turn.role not in self.stepped:
            # Here the host decides: on the CPU that costs nothing; optimizers that do not know found_inf (RMSprop, most third-party
            # ones) would take the step; and until it has taken one, SGD's momentum would begin with memory that nobody has written
            # (torch/optim/sgd.py, is_first_step).
            self._on_host(turn, bool(found.item()))
        else:
            self.updated = True
            turn.player.apply(found)
        if not self.on_host:
            self._later(turn, found)
        elif self.policy == "skip":
            self.metrics.add(f"skipped/{turn.role}", float(found.item()), weight=0.0)

    def _found(self, turn: Turn) -> Tensor:
        """1 where this update must not reach the weights, else 0: float32 (), on the device."""
        found = look_at(turn) if turn.trace.flag is None else turn.trace.flag  # of the last hook that may change gradients
        if not self.on_host and self.policy != "skip":
            self.frozen = found if self.frozen is None else torch.maximum(self.frozen, found)
            return self.frozen
        return found

    def _on_host(self, turn: Turn, bad: bool) -> None:
        if not bad:
            self.updated = True
            turn.player.apply()
            self.stepped.add(turn.role)
        elif self.on_host:
            self.statistics.put_back()
            assert turn.loss is not None
            values = [float(value.detach()) for value in (*turn.loss_terms.values(), turn.loss)]
            self._deal_with((turn.role, turn.step, turn.repeat), [*turn.loss_terms], values, Culprit.among(turn.trace.changes, turn))
        else:
            turn.player.updates += 1  # as on the device: taken back when the flag is read

    def _later(self, turn: Turn, found: Tensor) -> None:
        """Note a turn whose flag is read with the metrics."""
        if self.policy == "skip":
            self.statistics.put_back(found)
            self.metrics.add(f"skipped/{turn.role}", found, weight=0.0)
        assert turn.loss is not None
        names, values = [*turn.loss_terms], [value.detach() for value in (*turn.loss_terms.values(), turn.loss)]
        changes = [change.to_be_read_later() for change in turn.trace.changes]
        self.waiting.append(Waiting((turn.role, turn.step, turn.repeat), found, names, values, changes))
        if len(self.waiting) >= READ_AT:
            self.read()

    def read(self) -> None:
        """Bring the flags of the turns since the last call to the host: the one wait for the device."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        found = torch.stack([turn.found for turn in waiting]).tolist()
        for turn, bad in zip(waiting, found, strict=True):
            if bad:
                self.players[turn.turn[0]].updates -= 1
                if not self.halted:
                    self._deal_with(turn.turn, turn.names, torch.stack(turn.values).tolist(), Culprit.among(turn.changes, None))
        if not self.halted and self.policy != "skip":
            self.statistics.keep()

    def settle(self, due: bool) -> None:
        """Between two steps: end the run, or let it go back, where a turn was not finite.

        Args:
            due: something else waits for the device now, so that flags may be read there.

        Raises:
            NonFiniteError: it was, and the recipe does not say to skip it (or not so often).
        """
        if due:
            self.read()
        if self.halted:
            if not self.on_host and self.policy != "skip":  # there they are kept once an interval; passes since may have spoilt them
                self.statistics.put_back()
            raise NonFiniteError(self.report, f"{WHAT_HELPS}; {ON_ITS_OWN}" if self.policy == "stop" else WHAT_HELPS)

    def _deal_with(self, turn: tuple[Role, int, int], names: list[str], values: list[float], culprit: Culprit) -> None:
        """A turn was not finite: say so, and do what the recipe says."""
        text = in_words(turn, names, values, culprit)
        self.told = True
        if self.policy != "skip" or self.times >= self.most:
            before = {"skip": "updates were skipped", "rollback": "returns to a checkpoint were made"}
            spent = self.policy in before and self.times >= self.most
            self.report = f"{text} ({self.times} {before[self.policy]} already: train.non_finite_most)" if spent else text
            return
        self.times += 1
        if self.times == 1:
            self.announce(
                f"{text}. This update is skipped, and so is every further one of that kind, up to {self.most} (train.non_finite_most); "
                f"skipped/{turn[0]} counts them."
            )

    def state_dict(self) -> dict[str, Any]:
        """How often the policy has been used."""
        return {"times": self.times}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave; what was found since is forgotten."""
        self.times = state["times"]
        self.stepped.clear()
        self.report, self.frozen, self.waiting = "", None, []
        self.statistics.forget()


def check_weights(players: dict[Role, Player], step: int) -> None:
    """See that a checkpoint would be worth going back to: an update of finite gradients may still have been too large.

    Raises:
        NonFiniteError: a player's weights, or its running statistics, are no longer finite.
    """
    for role, player in players.items():
        if not torch.stack(torch._foreach_norm(list[Tensor](player.parameters))).isfinite().all():
            raise NonFiniteError(f"the {role}'s weights are not finite at step {step}", WHAT_HELPS)
        for name, buffer in player.network.named_buffers():
            if buffer.isnan().any():  # a mask may well be infinite
                raise NonFiniteError(f"the {role}'s '{name}', a running statistic, is not a number at step {step}", WHAT_HELPS)


def in_words(turn: tuple[Role, int, int], names: list[str], values: list[float], culprit: Culprit) -> str:
    """What was not finite, where, and who made it so, as far as is known.

    Args:
        turn: role, step, repeat.
        names: of the loss terms.
        values: of the loss terms, and of their sum.
        culprit: who made it so.
    """
    role, step, repeat = turn
    whats = [*(f"loss term '{name}'" for name in names), f"loss, the sum of {', '.join(names)},"]
    bad = (f"{what} is {value}" for what, value in zip(whats, values, strict=True) if not math.isfinite(value))
    again = f", repeat {repeat}" if repeat else ""
    return f"the {role}'s {next(bad, 'gradient is not finite')} in step {step}{again}{culprit.in_words()}"


def _honours_found_inf(optimizer: torch.optim.Optimizer) -> bool:
    """Whether ``step()`` does nothing, on the device, when ``optimizer.found_inf`` is 1: what torch.amp.GradScaler asks."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))
