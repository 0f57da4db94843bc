"""A run: everything of one execution of a recipe while it goes on. This is the ``run`` that every hook is handed."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pluggy
import torch
from torch import Tensor

from ganlab.components import Dataset, Noise, Role
from ganlab.game.draws import Draws
from ganlab.game.guard import Guard, check_weights
from ganlab.game.hooks import Trick, call_each
from ganlab.game.metrics import Metrics
from ganlab.game.player import Player
from ganlab.game.random_streams import TURNS, Streams
from ganlab.game.schedule import batches_per_step, groups_of
from ganlab.game.turn import Turn
from ganlab.recipe import Recipe
from ganlab.records.folder import RunFolder, append_line
from ganlab.records.metric_lines import Journal
from ganlab.runs import retention
from ganlab.runs.retention import Best
from ganlab.runs.sampler import Sampler
from ganlab.runs.state import put_back, state_of
from ganlab.speed.allocator import give_back
from ganlab.storage import checkpoint
from ganlab.storage.atomic import flush

if TYPE_CHECKING:
    import numpy as np

    from ganlab.runs.evaluations import Evaluations

log = logging.getLogger("ganlab")


@dataclass(frozen=True)
class PlayerLoss:
    """A player's loss, and who wrote it."""

    instance: Any
    owner: str

    @property
    def pairs(self) -> bool:
        """Whether it compares real with fake scores."""
        return bool(getattr(self.instance, "pairs", False))

    @property
    def label_targets(self) -> bool:
        """Whether it honours ``turn.real_target`` and ``turn.fake_target``."""
        return bool(getattr(self.instance, "label_targets", False))

    @property
    def logits(self) -> bool:
        """Whether sigmoid(score) is a probability."""
        return bool(getattr(self.instance, "logits", False))


@dataclass(frozen=True)
class Mark:
    """The end of a step, as far as the next one can be undone before it has updated a player."""

    batches_drawn: int
    metrics: dict[str, int]


class Run:
    """One execution of a recipe.

    Attributes:
        recipe, folder, device, dtype, seed: what it was made with; ``path`` is the folder's.
        players: ``players["generator"]`` and ``players["discriminator"]``.
        losses: each player's loss. dataset, noise: the components of the recipe. sampling_noise: the law of samples and sheets,
            ``noise`` itself where the recipe names no other.
        step, images_seen: counters, with ``epoch`` and each player's ``updates``; all together in ``counters``.
        total_steps, steps_per_epoch: the budget.
        resumed_from: the step that a resumed run went on from, or None.
        info: what ``run.json`` holds; ``save_info()`` writes it.
        hooks: calls the tricks; tricks: these, in recipe order.
        vetoed_by: for each player, the names of the tricks that vetoed the latest of its turns that was vetoed.
    """

    hooks: pluggy.HookRelay
    path: Path
    evaluations: Evaluations

    def __init__(self, recipe: Recipe, folder: RunFolder | None, device: torch.device, dtype: torch.dtype, info: dict[str, Any]) -> None:
        self.recipe, self.folder, self.device, self.dtype, self.info = recipe, folder, device, dtype, info
        if folder is not None:
            self.path = folder.path
        self.seed = recipe.train.seed
        self.schedule = recipe.schedule
        self.streams = Streams(self.seed, device)
        self.bases = {name: self.streams.base(f"network/{name}") for name in ("generator", "real", "fake", "both", "loss", "optimizer")}
        self.metrics = Metrics(device)
        self.guard = Guard(self)
        self.zero = torch.zeros((), device=device, dtype=dtype)
        self.players: dict[Role, Player] = {}
        self.losses: dict[Role, PlayerLoss] = {}
        self.tricks: list[Trick] = []
        self.vetoed_by: dict[Role, list[str]] = {}
        self.groups = groups_of(recipe.schedule)
        self.step = 0
        self.resumed_from: int | None = None
        self.stopping = False
        self.opening = False  # it is being put back to a checkpoint: until that is done, run.json stays as it was
        self.training_seconds = 0.0
        self.tell: Callable[[str], None] = log.warning
        self.mark: Mark | None = None  # the end of the step before
        self.whole = True  # the state is that of the end of `step`
        self.undone = 0  # steps that failed and were undone
        self._epoch_before = 0
        self._clock = (0.0, 0)  # when the last interval was logged, and its step
        self.writing = threading.Lock()
        self.journal, self.best = Journal(), Best(recipe.train)
        self._saved_at = math.inf  # when the last checkpoint was written, by the clock; training has not begun
        self._patience = 60 * (recipe.train.checkpoint_minutes or math.inf)  # seconds

    def use_data(self, dataset: Dataset, noise: Noise, sampling_noise: Noise) -> None:
        """Take the data and the noise, and work out the budget from their size."""
        train = self.recipe.train
        self.dataset, self.noise, self.sampling_noise = dataset, noise, sampling_noise
        self.draws = Draws(self)
        self.steps_per_epoch = max(1, self.draws.feed.per_epoch // batches_per_step(self.schedule))
        self.total_steps = train.steps or math.ceil((train.epochs or 0) * self.draws.feed.per_epoch / batches_per_step(self.schedule))
        self.sampler = Sampler(self)

    # -- what tricks use ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The name of the run's folder."""
        return self.path.name

    @property
    def epoch(self) -> int:
        """How many times the data have been gone through."""
        return self.draws.feed.epoch

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

    def record(self, name: str, value: Tensor | float) -> None:
        """Log the mean of ``value`` (a float, or a scalar on the device, which is not waited for) over each logging interval.

        ``name`` is ``section/name``; the MLflow UI makes a section of charts of what stands before the slash.
        """
        if isinstance(value, Tensor) and value.dim():
            raise ValueError(f"run.record('{name}', ...) takes one number, not a tensor of shape {tuple(value.shape)}; take its mean()")
        self.metrics.add(name, value if isinstance(value, Tensor) else float(value))

    def count(self, name: str, number: float = 1) -> None:
        """Log the sum of ``number`` over each logging interval."""
        self.metrics.add(name, float(number), weight=0.0)

    def record_clock(self, metrics: dict[str, float]) -> None:
        """Append to ``system.jsonl``, for what depends on the clock or the machine and is not the same when a run is repeated.

        May be called from any thread.
        """
        if self.folder is not None:
            with self.writing:
                append_line(self.folder.system, self.step, metrics)

    def announce(self, text: str) -> None:
        """Tell the person one clear paragraph, and keep it in ``run.json``."""
        told = self.info.setdefault("announcements", [])
        if text not in told:  # a resumed run says it again
            told.append(text)
        self.save_info()
        self.tell(text)

    def save_info(self) -> None:
        """Write ``run.json``."""
        if self.folder is not None and not self.opening:
            self.info["counters"] = self.counters if len(self.players) == len(get_args(Role)) else {}  # it may be half built
            self.info["training_seconds"] = round(self.training_seconds, 3)
            with self.writing:
                self.folder.write_info(self.info)

    def generate(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples for ``latent``, ``(count, *noise shape)``: on the CPU, in eval mode; equal latents give equal samples."""
        return self.sampler.generate(latent, labels)

    def restore(self, path: Path, state: dict[str, Any] | None = None, other_tricks: bool = False, changed: Collection[str] = ()) -> None:
        """Put the run into the state of a checkpoint. Metrics, sheets and checkpoints after it are dropped.

        Args:
            path: its file.
            state: what is in it, where that has been read already.
            other_tricks: the run may have other tricks than the checkpoint: those that it does not know begin anew.
            changed: the keys of the recipe that are other than the checkpoint's; an optimizer's are taken from the recipe.
        """
        put_back(self, path, checkpoint.load(path) if state is None else state, other_tricks, changed)

    # -- what the loop uses ------------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[int]:
        """The steps that are left, until the budget is spent or the run is asked to stop."""
        while self.step < self.total_steps and not self.stopping:
            self.mark = Mark(self.draws.feed.drawn, self.metrics.mark())
            self.guard.begin_step()
            self.whole = False
            self.step += 1
            self.streams.moment = self.step * TURNS
            self._epoch_before = self.epoch
            yield self.step

    def at(self, turn: Turn) -> None:
        """The moment from which all randomness of this turn is derived."""
        self.streams.moment = self.step * TURNS + turn.index + 1

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 autocast, where the recipe asks for it."""
        if self.recipe.train.autocast == "off":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def note_losses(self, turn: Turn) -> None:
        """Put the turn's loss and its terms on record. A side alone counts as half a turn, so that two updates add up as one loss."""
        assert turn.loss is not None
        half = turn.role == "discriminator" and len(turn.sides) == 1
        self.metrics.add(f"loss/{turn.role}", turn.loss, 0.5 if half else 1.0)
        if len(turn.loss_terms) > 1 or half:
            for name, term in turn.loss_terms.items():
                self.metrics.add(f"loss/{turn.role}.{name}", term)

    def finish_step(self, step: int) -> None:
        """What comes after all turns of a step: hooks, and at their intervals metrics, sheets and checkpoints.

        A trick that raises does not keep the others from finishing the step, so that it can be saved.

        Raises:
            NonFiniteError: a turn was not finite, and the recipe does not say to skip it.
        """
        self.streams.moment = step * TURNS
        raised = call_each(self.hooks.after_step, run=self, step=step)
        train, last = self.recipe.train, step == self.total_steps
        if self.epoch > self._epoch_before:
            raised += self.finish_epoch()
        log, sheet, save = (step % every == 0 or last for every in (train.log_every, self.sampler.every, self.checkpoint_every))
        save = save or time.monotonic() - self._saved_at > self._patience
        if log:
            raised += self.log_metrics()
        self.whole = True
        self.guard.settle(due=log or sheet or save)
        if raised:
            raise raised[0]
        if sheet:
            self.sample_sheet()
        if save:
            self.save_checkpoint()

    def finish_epoch(self) -> list[Exception]:
        """Write down the epoch's means of both players' losses, as the tutorials report them, and hand all means to the tricks.

        Returns:
            What tricks raised.
        """
        means = self.metrics.epoch()
        if self.folder is not None:
            losses = {f"epoch/{role}_loss": means[f"loss/{role}"] for role in self.players if f"loss/{role}" in means}
            self.journal.note(append_line(self.folder.metrics, self.step, losses))
            self.best.note(losses)
        return call_each(self.hooks.after_epoch, run=self, epoch=self.epoch, means=means)

    def start_clock(self) -> None:
        """Training begins now: what was before does not count as its time."""
        self._clock = (time.monotonic(), self.step)
        self._saved_at = self._clock[0]

    def stop_clock(self) -> None:
        """Add the time since the last logging to ``training_seconds``."""
        now = time.monotonic()
        self.training_seconds += now - self._clock[0]
        self._clock = (now, self.step)

    def write_down(self, metrics: dict[str, float]) -> None:
        """Append a line to ``metrics.jsonl``."""
        if self.folder is not None:
            self.journal.note(append_line(self.folder.metrics, self.step, metrics))
        self.best.note(metrics)

    @contextlib.contextmanager
    def clock_stopped(self) -> Iterator[None]:
        """What goes on in here does not count as training."""
        began = time.monotonic()
        yield
        self._clock = (self._clock[0] + time.monotonic() - began, self._clock[1])

    # -- at their intervals ------------------------------------------------------------------------------------------------

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""
        return self.checkpoint_interval(self.total_steps)

    def checkpoint_interval(self, total_steps: int) -> int:
        """Steps between checkpoints with that budget: as the recipe says, else an epoch, but at most about forty in a run."""
        return self.recipe.train.checkpoint_every or max(self.steps_per_epoch, total_steps // 40)

    def log_metrics(self) -> list[Exception]:
        """Bring the interval's metrics to the host, write them down, and hand them to the tricks.

        Returns:
            What tricks raised.
        """
        self.guard.read()
        metrics = self.metrics.interval()
        for player in self.players.values():
            metrics[f"updates/{player.role}"] = float(player.updates)
        metrics["progress/epoch"], metrics["progress/images_seen"] = float(self.epoch), float(self.images_seen)
        if self.folder is not None:
            then, step = self._clock
            self.stop_clock()
            self.record_clock({"speed/steps_per_second": (self.step - step) / max(self._clock[0] - then, 1e-9)})
        metrics |= self.evaluations.quick() if self.evaluations.due(self.step) else {}
        self.write_down(metrics)
        raised = call_each(self.hooks.on_metrics, run=self, step=self.step, metrics=metrics)
        self._tell_of_lost()
        return raised

    def _tell_of_lost(self) -> None:
        """Say once of each metric that it had values that were not finite, where no turn that was not finite explains it."""
        lost, self.metrics.lost = self.metrics.lost, set()
        explained, self.guard.told = self.guard.told, False
        told = self.info.setdefault("not_finite", [])
        for name in sorted(lost - set(told)) if not explained else ():
            told.append(name)
            self.announce(f"{name} had values that are not finite, up to step {self.step}; its means are of the others.")

    def sample_sheet(self) -> None:
        """Make a sheet of samples from the run's fixed noise."""
        if self.folder is not None:
            path = self.folder.samples / f"step_{self.step:09d}.png"
            self.show_picture("samples", self.sampler.sheet(path), path)

    def show_picture(self, name: str, picture: np.ndarray, path: Path) -> None:
        """Hand a picture that lies at ``path`` to the tricks."""
        self.hooks.on_images(run=self, step=self.step, name=name, picture=picture, path=path)

    def save_checkpoint(self) -> None:
        """Write a checkpoint of this moment between two steps; older ones go once it is on disk."""
        if self.folder is None:
            return
        check_weights(self.players, self.step)
        path = self.folder.checkpoint_path(self.step)
        flush(self.folder.metrics)  # a checkpoint vouches for the lines before it
        self.best.consider(self.step)
        if self.best.metric and self.best.latest is None:
            self.announce(f"train.keep_best = '{self.best.metric}': no metric of that name has been logged up to now.")
        checkpoint.save(path, state_of(self))
        self._saved_at = time.monotonic()
        retention.record(self, self.folder, path)
        self.save_info()
        retention.prune(self, self.folder)
        self.hooks.after_checkpoint(run=self, step=self.step, path=path)
        give_back()  # of this, and of sheets and figures since the last one

    def checkpoints(self) -> list[Path]:
        """The run's checkpoint files, oldest first."""
        return self.folder.checkpoint_files() if self.folder is not None else []
