"""A run: one execution of a recipe while it trains. This is the ``run`` that every hook gets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pluggy
import torch
from torch import Tensor

from ganlab.components import Dataset, Noise, Role
from ganlab.game.factories import PlayerLoss
from ganlab.game.game import Game
from ganlab.game.hooks import Trick
from ganlab.game.player import Player
from ganlab.game.turn import Group
from ganlab.recipe import Recipe, Schedule
from ganlab.records.folder import RunFolder
from ganlab.records.record import Record
from ganlab.records.run_info import InfoView, RunInfo
from ganlab.runs.checkpoint_content import read_checkpoint
from ganlab.runs.checkpoints import Checkpoints
from ganlab.runs.clock import Clock
from ganlab.runs.evaluations import Evaluations
from ganlab.runs.sampler import Sampler
from ganlab.runs.timetable import Timetable

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("ganlab")


class Run:
    """One execution of a recipe: a game, what is written of it, and a timetable.

    Attributes:
        recipe, device, dtype, seed: what it was made with. folder: its files, or None where nothing is written; ``path`` is the folder's.
        players: ``players["generator"]`` and ``players["discriminator"]``.
        losses: each player's loss. dataset, noise: the components of the recipe. sampling_noise: the law of samples and sheets,
            ``noise`` itself where the recipe names no other.
        step, images_seen: counters, with ``epoch`` and each player's ``updates``; all together in ``counters``.
        total_steps, steps_per_epoch: the budget.
        resumed_from: the step that a resumed run went on from, or None.
        stopping: set to True by a trick or a script, it finishes the run after the current step, before its budget is spent.
            interrupted: as Ctrl-C: the run is saved after the current step, and can be resumed; ``stop()`` sets it.
        info: what ``run.json`` holds; ``save_info()`` writes it. tell: prints one clear paragraph.
        hooks: pluggy's relay to the tricks; tricks: these, in recipe order.
        vetoed_by: for each player, the names of the tricks that vetoed the latest of its turns that was vetoed.
        game: all that a step of training reads or changes. written: what is on disk. timetable: what happens after a step.
    """

    def __init__(self, recipe: Recipe, folder: RunFolder | None, device: torch.device, dtype: torch.dtype) -> None:
        self.recipe, self.folder, self.device, self.dtype, self.seed = recipe, folder, device, dtype, recipe.train.seed
        self.resumed_from: int | None = None
        self.interrupted = False
        self.written = Record(folder, log.warning, self._progress)
        self.game = Game(recipe, device, dtype, self.announce)
        clock = Clock()
        self.checkpointing = Checkpoints(self.game, self.written, clock)
        self.timetable = Timetable(self.game, self.written, Sampler(self.game), self.checkpointing, clock)

    def steps(self) -> Iterator[int]:
        """The steps that are left, until the budget is spent or the run is asked to stop."""
        while not (self.is_complete or self.interrupted):
            self.stopping = False  # what a trick decided in a step that was undone does not count
            yield self.game.begin_step()

    @property
    def is_complete(self) -> bool:
        """Whether no step is left: the budget is spent, or a trick has ended the run."""
        return self.game.step >= self.game.total_steps or self.stopping

    @property
    def path(self) -> Path:
        if self.folder is None:
            raise AttributeError("this run has no folder: its recipe is only checked or described")
        return self.folder.path

    @property
    def id(self) -> str:
        """The name of the run's folder."""
        return self.path.name

    @property
    def info(self) -> InfoView:
        return InfoView(self.written.info)

    @info.setter
    def info(self, info: Mapping[str, Any]) -> None:
        self.written.info = info.model if isinstance(info, InfoView) else RunInfo(**info)  # `run.info |= {...}` assigns the view itself

    @property
    def tell(self) -> Callable[[str], None]:
        return self.written.tell

    @tell.setter
    def tell(self, tell: Callable[[str], None]) -> None:
        self.written.tell = tell

    @property
    def players(self) -> dict[Role, Player]:
        return self.game.players

    @property
    def losses(self) -> dict[Role, PlayerLoss]:
        return self.game.losses

    @property
    def dataset(self) -> Dataset:
        return self.game.dataset

    @property
    def noise(self) -> Noise:
        return self.game.noise

    @property
    def sampling_noise(self) -> Noise:
        return self.game.sampling_noise

    @property
    def schedule(self) -> Schedule:
        return self.game.schedule

    @property
    def groups(self) -> list[Group]:
        return self.game.groups

    @property
    def tricks(self) -> list[Trick]:
        return self.game.tricks

    @property
    def hooks(self) -> pluggy.HookRelay:
        return self.game.hooks.relay

    @property
    def vetoed_by(self) -> dict[Role, list[str]]:
        return self.game.vetoed_by

    @property
    def step(self) -> int:
        return self.game.step

    @property
    def epoch(self) -> int:
        return self.game.epoch

    @property
    def images_seen(self) -> int:
        return self.game.images_seen

    @property
    def counters(self) -> dict[str, int]:
        return self.game.counters

    @property
    def stopping(self) -> bool:
        return bool(self.written.info.ended_by) and self.game.step >= self.written.info.ended_at

    @stopping.setter
    def stopping(self, stopping: bool) -> None:
        info = self.written.info
        if stopping and not self.stopping:
            info.ended_by, info.ended_at = self.game.hooks.calling.owner, self.game.step
        elif info.ended_by and not stopping:
            info.ended_by, info.ended_at = "", 0

    def stop(self) -> None:
        """Stop after the current step, as Ctrl-C does: the run is saved, and can be resumed."""
        self.interrupted = True

    @property
    def total_steps(self) -> int:
        self.written.note_reader(self.game.hooks.calling.name)
        return self.game.total_steps

    @total_steps.setter
    def total_steps(self, steps: int) -> None:
        self.game.total_steps = steps

    @property
    def steps_per_epoch(self) -> int:
        return self.game.steps_per_epoch

    @property
    def evaluations(self) -> Evaluations:
        return self.timetable.evaluations

    def record(self, name: str, value: Tensor | float) -> None:
        """Log the mean of ``value`` over each logging interval, as :meth:`Game.record` does; ``name`` is ``section/name``."""
        self.game.record(name, value)

    def count(self, name: str, number: float = 1) -> None:
        """Log the sum of ``number`` over each logging interval."""
        self.game.count(name, number)

    def record_clock(self, metrics: dict[str, float]) -> None:
        """Append to ``system.jsonl``, for what depends on the clock or the machine. May be called from any thread."""
        self.written.write_clock(self.step, metrics)

    def announce(self, text: str) -> None:
        """Tell the person one clear paragraph, and keep it in ``run.json``."""
        self.written.announce(text)

    def save_info(self) -> None:
        """Write ``run.json``."""
        self.written.save()

    def show_picture(self, name: str, picture: np.ndarray, path: Path) -> None:
        """Hand a picture, uint8 ``(height, width, 3)``, that lies at ``path`` to the tricks."""
        self.game.hooks.on_images(step=self.step, name=name, picture=picture, path=path)

    def generate(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples for ``latent``, ``(count, *noise shape)``: on the CPU, in eval mode; equal latents give equal samples."""
        return self.timetable.sampler.generate(latent, labels)

    def checkpoints(self) -> list[Path]:
        """The run's checkpoint files, oldest first."""
        return [] if self.folder is None else self.folder.checkpoint_files()

    def restore(self, path: Path, state: dict[str, Any] | None = None, other_tricks: bool = False, changed: Collection[str] = ()) -> None:
        """Put the run into the state of the checkpoint ``path``; see :meth:`Checkpoints.restore`. ``state``: its content, if known."""
        self.checkpointing.restore(path, read_checkpoint(path) if state is None else state, other_tricks, changed)

    def _progress(self) -> dict[str, Any]:
        """What ``run.json`` says of how far the run is; it may be half built."""
        counters = self.game.counters if len(self.game.players) == len(get_args(Role)) else {}
        unreadable = {*self.written.info.data.get("unreadable", ()), *getattr(getattr(self.game, "dataset", None), "unreadable", ())}
        data = {"data": {**self.written.info.data, "unreadable": sorted(unreadable)}} if unreadable else {}
        return {"counters": counters, "training_seconds": round(self.timetable.clock.seconds, 3), **data}
