"""The game: two players with their losses, the schedule, the draws, the random streams, the metrics, the guard and the hooks.

A game needs no folder: it can be played in memory, step by step, with :func:`ganlab.game.loop.play_step`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
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

#: Passes and operations that draw from torch's default generators. Each has its own random stream.
PASSES = ("generator", "real", "fake", "both", "loss", "optimizer")


class Game:
    """Everything that a step of training reads or changes.

    Attributes:
        recipe, device, dtype, seed: what the game was created with.
        schedule: the recipe's ``[schedule]``. ``groups`` are its groups of turns.
        players: ``players["generator"]`` and ``players["discriminator"]``.
        losses: each player's loss.
        dataset, noise: the recipe's components.
        sampling_noise: the distribution of latents for samples and sample sheets. It is ``noise`` unless the recipe has another.
        draws: the source of real batches, latents and labels.
        streams: the source of all random numbers.
        bases: the number of the random stream of each pass or operation, for ``streams.reseed``.
        metrics: measured values, on the device.
        guard: keeps numbers that are not finite away from the weights.
        tricks: in recipe order. ``hooks`` calls them.
        vetoed_by: for each player, the names of the tricks that vetoed its most recent vetoed turn.
        step: the latest step that has begun; 0 before the first.
        total_steps, steps_per_epoch: the budget.
        step_is_complete: whether ``step`` has ended, and the state is the one after it.
        steps_undone: 1 after a step that failed was undone, else 0.
        announce: called with one paragraph for each message to the user.
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
        self.guard = Guard(recipe, device, self.players, self.metrics, announce)
        self.zero = torch.zeros((), device=device, dtype=dtype)
        self.step = 0
        self.step_is_complete = True
        self.steps_undone = 0
        self.epoch_before_step = 0
        self._step_start: tuple[int, dict[str, int]] | None = None  # number of batches drawn, mark of the metrics

    def use_data(self, dataset: Dataset, noise: Noise, sampling_noise: Noise) -> None:
        """Set the data and the noise, and compute the budget from the size of the data."""
        self.dataset, self.noise, self.sampling_noise = dataset, noise, sampling_noise
        self.draws = Draws(self.recipe, dataset, noise, self.streams, self.dtype)
        train, batches, per_epoch = self.recipe.train, batches_per_step(self.schedule), self.draws.order.per_epoch
        self.steps_per_epoch = max(1, per_epoch // batches)
        self.total_steps = train.steps or math.ceil((train.epochs or 0) * per_epoch / batches)

    # -- counters ----------------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """The number of completed passes over the data."""
        return self.draws.order.epoch

    @property
    def images_seen(self) -> int:
        """The number of real images that were drawn for the discriminator."""
        return self.draws.images

    @property
    def counters(self) -> dict[str, int]:
        """All counters by name."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "discriminator_updates": self.players["discriminator"].updates,
            "generator_updates": self.players["generator"].updates,
            "images_seen": self.images_seen,
        }

    # -- a step ------------------------------------------------------------------------------------------------------------

    def begin_step(self) -> int:
        """Begin the next step and return its number."""
        self._step_start = (self.draws.order.drawn, self.metrics.mark())
        self.guard.begin_step()
        self.step_is_complete = False
        self.step += 1
        self.streams.moment = self.step * TURNS
        self.epoch_before_step = self.epoch
        return self.step

    def undo_step(self) -> bool:
        """Restore the state before the current step. Possible only if the step has updated no player.

        Tricks keep their state: they change it in ``after_update`` and ``after_step`` only, as the manual of hooks requires.

        Returns:
            Whether the state was restored.
        """
        if self._step_start is None or self.guard.updated or not self.guard.undo_passes():
            return False
        batches_drawn, metrics_mark = self._step_start
        if not self.metrics.rewind(metrics_mark):
            return False
        self.draws.go_to(batches_drawn)
        self.step -= 1
        self.steps_undone = 1
        self.step_is_complete = True
        return True

    def set_moment(self, turn: Turn) -> None:
        """Set the moment of the random streams: all random numbers of this turn are derived from it."""
        self.streams.moment = self.step * TURNS + turn.index + 1

    def autocast(self) -> AbstractContextManager[Any]:
        """A context with bfloat16 autocast if the recipe asks for it."""
        if self.recipe.train.autocast == "off":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    # -- metrics -----------------------------------------------------------------------------------------------------------

    def record(self, name: str, value: Tensor | float) -> None:
        """Log the mean of ``value`` over each logging interval.

        Args:
            name: of the metric.
            value: a number, or a scalar tensor, which is not copied to the CPU before the interval ends.

        Raises:
            ValueError: the tensor is not a scalar.
        """
        if isinstance(value, Tensor) and value.dim():
            raise ValueError(f"run.record('{name}', ...) takes one number, not a tensor of shape {tuple(value.shape)}; take its mean()")
        self.metrics.add(name, value if isinstance(value, Tensor) else float(value))

    def count(self, name: str, number: float = 1) -> None:
        """Log the sum of ``number`` over each logging interval."""
        self.metrics.add(name, float(number), weight=0.0)

    def record_losses(self, turn: Turn) -> None:
        """Log the turn's loss and its terms. A discriminator's turn on one side counts as half a turn: two such updates are one loss."""
        assert turn.loss is not None
        half = turn.role == "discriminator" and len(turn.sides) == 1
        self.metrics.add(f"loss/{turn.role}", turn.loss, 0.5 if half else 1.0)
        if len(turn.loss_terms) > 1 or half:
            for name, term in turn.loss_terms.items():
                self.metrics.add(f"loss/{turn.role}.{name}", term)
