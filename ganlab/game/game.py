"""The game: two players, their losses, the schedule, the draws, the random streams, the metrics, the guard and the hooks.

A game knows nothing of folders, clocks and intervals: it can be played in memory, step by step, with
:func:`ganlab.game.loop.play_step`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.components import Dataset, Noise, Role
from ganlab.game.draws import Draws
from ganlab.game.factories import PlayerLoss
from ganlab.game.guard import Guard
from ganlab.game.hooks import Hooks, Trick
from ganlab.game.metrics import Metrics
from ganlab.game.player import Player
from ganlab.game.random_streams import TURNS, Streams
from ganlab.game.schedule import batches_per_step, groups_of
from ganlab.game.turn import Turn
from ganlab.recipe import Recipe

#: Passes and operations that draw from torch's default generators, each from a stream of its own.
PASSES = ("generator", "real", "fake", "both", "loss", "optimizer")


@dataclass(frozen=True)
class StepStart:
    """What is needed to undo a step that has not updated any player: the state at the end of the step before."""

    batches_drawn: int
    values_waiting: dict[str, int]  # as Metrics.mark gives it


class Game:
    """Everything that a step of training reads or changes.

    Attributes:
        recipe, device, dtype, seed: what the game was made with.
        schedule: the recipe's ``[schedule]``; ``groups`` is the same as groups of turns.
        players: ``players["generator"]`` and ``players["discriminator"]``.
        losses: each player's loss.
        dataset, noise: the components of the recipe. sampling_noise: the law of samples and sheets, ``noise`` itself where the recipe
            names no other.
        draws: where real batches, latents and labels come from. streams: where all random numbers come from.
        metrics: what is measured, waiting on the device. guard: keeps numbers that are not finite away from the weights.
        tricks: in recipe order; ``hooks`` calls them.
        vetoed_by: for each player, the names of the tricks that vetoed the latest of its turns that was vetoed.
        step: the latest step that has begun; 0 before the first.
        total_steps, steps_per_epoch: the budget.
        step_is_complete: whether the state is that of the end of ``step``.
        steps_undone: how many steps failed and were undone.
        announce: called with one paragraph for each thing that a person must know.
    """

    dataset: Dataset
    noise: Noise
    sampling_noise: Noise
    draws: Draws
    hooks: Hooks
    steps_per_epoch: int
    total_steps: int

    def __init__(self, recipe: Recipe, device: torch.device, dtype: torch.dtype, announce: Callable[[str], None]) -> None:
        self.recipe, self.device, self.dtype, self.announce = recipe, device, dtype, announce
        self.seed = recipe.train.seed
        self.schedule, self.groups = recipe.schedule, groups_of(recipe.schedule)
        self.streams = Streams(self.seed, device)
        self.bases = {name: self.streams.base(f"network/{name}") for name in PASSES}
        self.players: dict[Role, Player] = {}
        self.losses: dict[Role, PlayerLoss] = {}
        self.tricks: list[Trick] = []
        self.vetoed_by: dict[Role, list[str]] = {}
        self.metrics = Metrics(device)
        self.guard = Guard(recipe.train, device, self.players, self.metrics, announce)
        self.zero = torch.zeros((), device=device, dtype=dtype)
        self.step = 0
        self.step_is_complete = True
        self.steps_undone = 0
        self.epoch_before_step = 0
        self._step_start: StepStart | None = None

    def use_data(self, dataset: Dataset, noise: Noise, sampling_noise: Noise) -> None:
        """Take the data and the noise, and compute the budget from their size."""
        self.dataset, self.noise, self.sampling_noise = dataset, noise, sampling_noise
        self.draws = Draws(self.recipe, dataset, noise, self.streams, self.dtype)
        train, batches, per_epoch = self.recipe.train, batches_per_step(self.schedule), self.draws.order.per_epoch
        self.steps_per_epoch = max(1, per_epoch // batches)
        self.total_steps = train.steps or math.ceil((train.epochs or 0) * per_epoch / batches)

    # -- counters ----------------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """How many times the data have been gone through."""
        return self.draws.order.epoch

    @property
    def images_seen(self) -> int:
        """How many real images have been drawn for the discriminator."""
        return self.draws.images

    @property
    def counters(self) -> dict[str, int]:
        """All counters, none mixed with another."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "discriminator_updates": self.players["discriminator"].updates,
            "generator_updates": self.players["generator"].updates,
            "images_seen": self.images_seen,
        }

    # -- a step ------------------------------------------------------------------------------------------------------------

    def begin_step(self) -> int:
        """Begin the next step, and return its number."""
        self._step_start = StepStart(self.draws.order.drawn, self.metrics.mark())
        self.guard.begin_step()
        self.step_is_complete = False
        self.step += 1
        self.streams.moment = self.step * TURNS
        self.epoch_before_step = self.epoch
        return self.step

    def undo_step(self) -> bool:
        """Put the state back to the end of the step before, if that can be done: no player has been updated in this step.

        The state of tricks is not touched: it changes in ``after_update`` and ``after_step``, as the manual of hooks says.
        """
        start = self._step_start
        if start is None or self.guard.updated or not self.guard.undo_passes() or not self.metrics.back(start.values_waiting):
            return False
        self.draws.go_to(start.batches_drawn)
        self.step -= 1
        self.steps_undone = 1
        self.step_is_complete = True
        return True

    def at(self, turn: Turn) -> None:
        """Move to the moment that all randomness of this turn is derived from."""
        self.streams.moment = self.step * TURNS + turn.index + 1

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 autocast, where the recipe asks for it."""
        if self.recipe.train.autocast == "off":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    # -- metrics -----------------------------------------------------------------------------------------------------------

    def record(self, name: str, value: Tensor | float) -> None:
        """Log the mean of ``value`` (a float, or a scalar tensor, which is not waited for) over each logging interval."""
        if isinstance(value, Tensor) and value.dim():
            raise ValueError(f"run.record('{name}', ...) takes one number, not a tensor of shape {tuple(value.shape)}; take its mean()")
        self.metrics.add(name, value if isinstance(value, Tensor) else float(value))

    def count(self, name: str, number: float = 1) -> None:
        """Log the sum of ``number`` over each logging interval."""
        self.metrics.add(name, float(number), weight=0.0)

    def note_losses(self, turn: Turn) -> None:
        """Log the turn's loss and its terms. A side alone counts as half a turn, so that two updates add up as one loss."""
        assert turn.loss is not None
        half = turn.role == "discriminator" and len(turn.sides) == 1
        self.metrics.add(f"loss/{turn.role}", turn.loss, 0.5 if half else 1.0)
        if len(turn.loss_terms) > 1 or half:
            for name, term in turn.loss_terms.items():
                self.metrics.add(f"loss/{turn.role}.{name}", term)
