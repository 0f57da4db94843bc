"""The guard: checks each turn for numbers that are not finite, keeps them away from the weights, and reports them.

It checks the turn's loss, which is not finite as soon as one of its terms is not, and all gradients. The check is one operation on the
device, and its result is a flag there, 0 or 1. On the CPU the flag is read at once. On an accelerator nothing waits for it: the optimizer
gets it as ``found_inf``, which torch's fused optimizers respect on the device, and it is read together with the metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.components import Role
from ganlab.errors import NonFiniteError
from ganlab.game.culprit import Culprit, non_finite_flag
from ganlab.game.metrics import Metrics
from ganlab.game.player import Player
from ganlab.game.running_statistics import RunningStatistics
from ganlab.game.turn import Change, Turn
from ganlab.recipe import Recipe

TurnKey = tuple[Role, int, int]  # role, step, repeat

READ_AT = 1024  # unread turns on an accelerator, at most: they take memory
CONTINUE = 'with train.non_finite = "skip" or "rollback", training continues'


@dataclass
class UnreadTurn:
    """A turn on an accelerator whose flag has not been read yet, with everything that a report needs.

    Attributes:
        key: the turn's role, step and repeat.
        flag: () on the device, 1 if the turn was not finite, or if updates were already frozen.
        names: of the loss terms.
        values: of the loss terms and of their sum, scalars on the device.
        changes: made by hooks.
    """

    key: TurnKey
    flag: Tensor
    names: list[str]
    values: list[Tensor]
    changes: list[Change]


class Guard:
    """Keeps numbers that are not finite away from the weights.

    After a turn that is not finite, the policies ``stop`` and ``rollback`` apply no further update: the weights stay those before it. The
    policy ``skip`` omits that update only. The running statistics of batch normalization are restored too. On the CPU, and with ``skip``,
    they become those before the turn. Otherwise they become those of the last time that flags were read, because a conditional copy in
    each turn takes time.

    Attributes:
        policy: ``train.non_finite``: stop, skip or rollback.
        most: ``train.non_finite_most``.
        hint: what to try against numbers that are not finite.
        times: how often the policy was applied up to now: updates skipped, or returns to a checkpoint.
        report: describes the first turn that was not finite and that the policy could not handle; empty if there is none.
        reported: whether a turn that was not finite has been reported since metrics were last logged.
        updated: whether an update of this step may have changed the weights.
    """

    def __init__(
        self, recipe: Recipe, device: torch.device, players: dict[Role, Player], metrics: Metrics, announce: Callable[[str], None]
    ) -> None:
        self.policy, self.most = recipe.train.non_finite, recipe.train.non_finite_most
        self.hint = what_helps(recipe.remedies)
        self.players, self.metrics, self.announce = players, metrics, announce
        self.on_cpu = device.type == "cpu"  # where a flag is read without waiting
        self.frozen: Tensor | None = None  # on an accelerator: 1 once updates are frozen
        self.unread: list[UnreadTurn] = []
        self.times = 0
        self.report = ""
        self.reported = False
        self.stepped: set[Role] = set()  # players whose optimizer has made a step since its state was created or loaded
        self.updated = False
        self.groups_begun = 0  # groups of this step whose networks have been called
        self.statistics = RunningStatistics(players)

    @property
    def halted(self) -> bool:
        """Whether no further turn is to be played, according to the flags that were read."""
        return bool(self.report)

    def begin_step(self) -> None:
        """Prepare for a new step."""
        self.updated, self.groups_begun = False, 0

    def begin_group(self) -> None:
        """Prepare for a group's turns: save the running statistics before the networks are called."""
        self.groups_begun += 1
        if self.on_cpu or self.policy == "skip" or not self.statistics.saved:
            self.statistics.save()

    def undo_passes(self) -> bool:
        """Restore the running statistics that the networks' passes have changed since the step began. Returns whether that was possible."""
        if not self.groups_begun or self.statistics.empty:
            return True
        if self.groups_begun > 1 or not (self.on_cpu or self.policy == "skip"):
            return False
        self.statistics.restore()
        return True

    def update(self, turn: Turn) -> None:
        """Apply the turn's update, unless its loss or a gradient is not finite."""
        if self.halted:  # by another turn of the same group
            return
        flag = self._flag_of(turn)
        if self.on_cpu or not _respects_found_inf(turn.player.optimizer) or turn.role not in self.stepped:
            # The flag is read here in three cases. On the CPU that takes no time. Optimizers that ignore found_inf (RMSprop, most
            # third-party ones) would make the step. And if SGD's first step were skipped on the device, its momentum would start from
            # uninitialized memory (torch/optim/sgd.py, is_first_step).
            self._update_if(turn, finite=not bool(flag.item()))
        else:
            self.updated = True
            turn.player.apply(flag)
        if not self.on_cpu:
            self._read_later(turn, flag)
        elif self.policy == "skip":
            self.metrics.add(f"skipped/{turn.role}", float(flag.item()), weight=0.0)

    def _flag_of(self, turn: Turn) -> Tensor:
        """1 if this update must not change the weights, else 0: float32 () on the device."""
        # The last hook that may change gradients leaves a flag.
        flag = non_finite_flag(turn) if turn.trace.flag is None else turn.trace.flag
        if not self.on_cpu and self.policy != "skip":
            self.frozen = flag if self.frozen is None else torch.maximum(self.frozen, flag)
            return self.frozen
        return flag

    def _update_if(self, turn: Turn, finite: bool) -> None:
        """Apply the update of a turn whose flag has been read, if it was finite."""
        if finite:
            self.updated = True
            turn.player.apply()
            self.stepped.add(turn.role)
        elif self.on_cpu:
            self.statistics.restore()
            assert turn.loss is not None
            values = [float(value.detach()) for value in (*turn.loss_terms.values(), turn.loss)]
            self._handle((turn.role, turn.step, turn.repeat), [*turn.loss_terms], values, Culprit.of(turn.trace.changes, turn))
        else:
            turn.player.updates += 1  # as for an update on the device; corrected when the flag is read

    def _read_later(self, turn: Turn, flag: Tensor) -> None:
        """Keep what a report on the turn needs until its flag is read with the metrics."""
        if self.policy == "skip":
            self.statistics.restore(flag)
            self.metrics.add(f"skipped/{turn.role}", flag, weight=0.0)
        assert turn.loss is not None
        names, values = [*turn.loss_terms], [value.detach() for value in (*turn.loss_terms.values(), turn.loss)]
        changes = [change.summarized() for change in turn.trace.changes]
        self.unread.append(UnreadTurn((turn.role, turn.step, turn.repeat), flag, names, values, changes))
        if len(self.unread) >= READ_AT:
            self.read()

    def read(self) -> None:
        """Read the flags of all turns since the last call. This is the only place that waits for an accelerator."""
        unread, self.unread = self.unread, []
        if not unread:
            return
        flags = torch.stack([turn.flag for turn in unread]).tolist()
        for turn, not_finite in zip(unread, flags, strict=True):
            if not_finite:
                self.players[turn.key[0]].updates -= 1
                if not self.halted:
                    self._handle(turn.key, turn.names, torch.stack(turn.values).tolist(), Culprit.of(turn.changes, None))
        if not self.halted and self.policy != "skip":
            self.statistics.save()

    def settle(self, due: bool) -> None:
        """Raise an error between two steps if a turn was not finite and its update was not skipped.

        Args:
            due: whether flags are to be read now, because something else waits for the device anyway.

        Raises:
            NonFiniteError: a turn was not finite, and the policy is not ``skip`` or was already applied ``most`` times.
        """
        if due:
            self.read()
        if self.halted:
            if not self.on_cpu and self.policy != "skip":  # saved when flags were last read; passes since then may have changed them
                self.statistics.restore()
            raise NonFiniteError(self.report, f"{self.hint}; {CONTINUE}" if self.policy == "stop" else self.hint)

    def _handle(self, turn: TurnKey, names: list[str], values: list[float], culprit: Culprit) -> None:
        """Apply the recipe's policy to a turn that was not finite, and report it."""
        text = describe_turn(turn, names, values, culprit)
        self.reported = True
        if self.policy != "skip" or self.times >= self.most:
            past_uses = {"skip": "updates were skipped", "rollback": "returns to a checkpoint were made"}
            exhausted = self.policy in past_uses and self.times >= self.most
            self.report = f"{text} ({self.times} {past_uses[self.policy]} already: train.non_finite_most)" if exhausted else text
            return
        self.times += 1
        if self.times == 1:
            self.announce(
                f"{text}. This update is skipped. Up to {self.most} updates that are not finite are skipped (train.non_finite_most); "
                f"skipped/{turn[0]} counts them."
            )

    def check_weights(self, step: int) -> None:
        """Check weights and running statistics before a checkpoint: an update with finite gradients may still have been too large.

        Raises:
            NonFiniteError: a player's weights, or its running statistics, are no longer finite.
        """
        for role, player in self.players.items():
            if not torch.stack(torch._foreach_norm(list[Tensor](player.parameters))).isfinite().all():
                raise NonFiniteError(f"the {role}'s weights are not finite at step {step}", self.hint)
            for name, buffer in player.network.named_buffers():
                if buffer.isnan().any():  # an attention mask may be infinite
                    raise NonFiniteError(f"the {role}'s '{name}', a running statistic, is not a number at step {step}", self.hint)

    def state_dict(self) -> dict[str, Any]:
        """How often the policy was applied."""
        return {"times": self.times}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state, and discard flags and reports of turns since then."""
        self.times = state["times"]
        self.stepped.clear()
        self.report, self.frozen, self.unread = "", None, []
        self.statistics.discard()


def what_helps(remedies: Sequence[str]) -> str:
    """The hint of an error about a number that is not finite. ``remedies`` are the names of tricks that help.

    >>> what_helps(["clamp", "gradient_clipping"])
    'try a lower learning rate, or the tricks clamp and gradient_clipping'
    """
    *first, last = remedies or [""]
    tricks = f"s {', '.join(first)} and {last}" if first else f" {last}"
    return f"try a lower learning rate{f', or the trick{tricks}' if remedies else ''}"


def describe_turn(turn: TurnKey, names: list[str], values: list[float], culprit: Culprit) -> str:
    """A sentence on a turn that was not finite: which number, in which step, and whose hook caused it if that is known.

    ``values`` are those of the loss terms ``names``, and their sum.
    """
    role, step, repeat = turn
    quantities = [*(f"loss term '{name}'" for name in names), f"loss, the sum of {', '.join(names)},"]
    not_finite = (f"{quantity} is {value}" for quantity, value in zip(quantities, values, strict=True) if not math.isfinite(value))
    which_repeat = f", repeat {repeat}" if repeat else ""
    return f"the {role}'s {next(not_finite, 'gradient is not finite')} in step {step}{which_repeat}{culprit.describe()}"


def _respects_found_inf(optimizer: torch.optim.Optimizer) -> bool:
    """Whether ``step()`` does nothing on the device if ``optimizer.found_inf`` is 1. torch.amp.GradScaler checks the same attribute."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))
