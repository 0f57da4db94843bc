"""Every hook of ganlab, in the order of a run's life. This file is the manual.

There are two sets. The **registration hooks** are module-level functions of a plugin; they are called once, when ganlab
looks for plugins, and say which names the plugin brings. The **run hooks** are methods of a trick; they are called while
a run goes on, and only for the tricks that the run's recipe lists.

Rules that hold for every run hook:

- Mark it with ``@ganlab.hookimpl`` and name the parameters you need, as they are named here; leave out the others. Give
  them no default values, and do not use ``wrapper=True``: both are refused when the recipe is loaded.
- **Recipe order is call order**: the first ``[[tricks]]`` table is called first.
- A hook that changes a value assigns it to ``turn`` (``turn.real``, ``turn.fake_scores``, ``turn.loss_terms`` ...) and returns None.
  A value that it returns all the same is told of, once: only ``plan_step``, ``may_play``, ``play_again`` and ``on_failure`` answer.
- What a hook is handed has no other attributes than its own: ``turn.faek = ...`` is an error that says ``fake``. State is the trick's own.
- The default random generators of torch are seeded anew for each call, from the run's seed, the trick's name, the hook and the
  moment: ``torch.randn`` in a hook is reproducible and resumable, and moves no other stream.
- Inside a turn keep values on the device: ``.item()`` waits for it. ``run.record(name, tensor)`` does not.
- A trick that has state defines ``state_dict()`` and ``load_state_dict(state)``: it is then saved in every checkpoint and
  restored on resume. Numbers, strings, lists, dicts and tensors are allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import numpy as np

    from ganlab.components import NetworkSpec
    from ganlab.game.player import Player
    from ganlab.game.turn import Group, Turn
    from ganlab.runs.run import Run

PROJECT = "ganlab"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

#: ``register("name", factory)``: what a registration hook is handed. See ganlab.components for what a factory is.
Register = Callable[[str, Callable[..., Any]], None]


class RegistrationHooks:
    """What a plugin brings. Called once for each plugin, when the catalogue is made."""

    @hookspec
    def register_networks(self, register: Register) -> None:
        """Networks, for ``[generator] use = ...`` and ``[discriminator] use = ...``; called with a NetworkSpec."""

    @hookspec
    def register_losses(self, register: Register) -> None:
        """Losses, for ``[loss]``, ``[loss.generator]`` and ``[loss.discriminator]``."""

    @hookspec
    def register_datasets(self, register: Register) -> None:
        """Data sets, for ``[data]``; called with a DatasetSpec."""

    @hookspec
    def register_noises(self, register: Register) -> None:
        """Laws of the latent, for ``[noise]``."""

    @hookspec
    def register_optimizers(self, register: Register) -> None:
        """Optimizers, for ``[generator.optimizer]`` and ``[discriminator.optimizer]``; called with the parameters."""

    @hookspec
    def register_metrics(self, register: Register) -> None:
        """Measures of the samples' quality, for ``[[metrics]]``. First-party user: ``metrics``."""

    @hookspec
    def register_judges(self, register: Register) -> None:
        """What sees images for the metrics, for ``[judge]``; called with a JudgeSpec. First-party user: ``judges``."""

    @hookspec
    def register_tricks(self, register: Register) -> None:
        """Tricks, for ``[[tricks]]`` and ``[tracking]``: factories of objects that implement run hooks."""


class RunHooks:
    """What a trick may do while a run goes on, in the order of a run's life."""

    # -- before the first step ---------------------------------------------------------------------------------------------

    @hookspec
    def before_build(self, run: Run, spec: NetworkSpec) -> None:
        """A network is about to be built: change ``spec`` to have it built otherwise.

        Called for the generator, then for the discriminator. First-party user: ``packing``, which widens the
        discriminator's input.
        """

    @hookspec
    def after_build(self, run: Run, player: Player) -> None:
        """``player.network`` exists, on its device, and its optimizer does not yet: add or replace parameters here.

        First-party user: ``spectral_normalization``.
        """

    @hookspec
    def before_run(self, run: Run) -> None:
        """Everything is built, and restored when the run is resumed; the first step follows. ``run.resumed_from`` is the step
        that a resumed run goes on from, None for a new one. First-party user: ``mlflow``.
        """

    # -- each step ---------------------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    def plan_step(self, run: Run, step: int) -> list[Group] | None:
        """Which turns does this step have? Return a list of groups, or None to leave it to the recipe's ``[schedule]``.

        A group is a list of ``Part(player, sides)``; the turns of one group are computed before any of them is
        applied. ``run.groups`` is what the recipe asks for. **This hook decides**: one trick of a recipe may
        implement it, a second is refused when the recipe is loaded. First-party user: ``discriminator_head_start``.
        """

    @hookspec
    def may_play(self, run: Run, turn: Turn) -> bool | None:
        """May this turn be played? Any False is a veto; None and True agree.

        All tricks are asked, also about repeats, so the answer must have no side effects; change state in
        ``after_update`` or ``after_step``. First-party user: ``adaptive_generator_steps``.
        """

    @hookspec
    def before_turn(self, run: Run, turn: Turn) -> None:
        """A turn begins; nothing is drawn yet. ``turn.player``, ``turn.sides`` and ``turn.repeat`` are known.

        First-party user: ``label_smoothing``, which sets ``turn.real_target`` and ``turn.fake_target``.
        """

    @hookspec
    def before_scores(self, run: Run, turn: Turn) -> None:
        """The discriminator is about to see ``turn.real`` and ``turn.fake``, ``(batch, *shape)``; None for a side not shown.

        In the generator's turn gradients flow through ``turn.fake``. First-party users: ``packing``, ``r1_penalty``.
        """

    @hookspec
    def after_scores(self, run: Run, turn: Turn) -> None:
        """``turn.real_scores`` and ``turn.fake_scores``, ``(batch,)``, are there; losses see what is assigned to them.

        What is logged as scores was taken before this hook. First-party user: ``clamp``.
        """

    @hookspec
    def loss_terms(self, run: Run, turn: Turn) -> None:
        """``turn.loss_terms`` (a dict of scalars) holds the loss's own terms: add yours under a name of your own.

        The turn's loss is the sum of all terms, and each is logged as ``loss/<player>.<name>``. First-party user: ``r1_penalty``.
        """

    @hookspec
    def before_update(self, run: Run, turn: Turn) -> None:
        """Gradients of ``turn.player`` exist, and its optimizer has not stepped.

        ``turn.player.gradient_norm()`` and ``turn.player.scale_gradients(factor)`` work on them without leaving the
        device. First-party user: ``gradient_clipping``.
        """

    @hookspec
    def after_update(self, run: Run, turn: Turn) -> None:
        """``turn.player`` has been updated, and counted; or its update was withheld, for the loss or a gradient was not finite.

        An accelerator does not tell which: a trick that takes values here sees to it that they are finite. First-party users:
        ``adaptive_generator_steps``, ``spectral_normalization``.
        """

    @hookspec
    def play_again(self, run: Run, turn: Turn) -> bool | None:
        """Shall ``turn.player`` play this turn once more in this step? Any True repeats it, if ``may_play`` agrees.

        A repeat draws fresh noise but no real data, and does not advance ``step``; ``turn.repeat`` counts from 1. All tricks
        are asked; the answer must have no side effects. First-party user: ``adaptive_generator_steps``.
        """

    @hookspec
    def after_step(self, run: Run, step: int) -> None:
        """All turns of ``step`` are over (steps count from 1). First-party user: ``adaptive_generator_steps``."""

    @hookspec
    def after_epoch(self, run: Run, epoch: int, means: dict[str, float]) -> None:
        """The data have been gone through once more (epochs count from 1); ``means`` has the epoch's mean of each metric.

        Before ``on_metrics`` of the same step, and once where a step goes through the data several times. First-party user: ``loss_plot``.
        """

    # -- what comes to the host --------------------------------------------------------------------------------------------

    @hookspec
    def on_metrics(self, run: Run, step: int, metrics: dict[str, float]) -> None:
        """The metrics of one logging interval, already on the host and already in the run's ``metrics.jsonl``.

        Where the samples were measured, their ``quality/...`` are among them. What is measured at the end is in ``evaluation.json`` when
        ``after_run`` is called. First-party users: ``health``, ``mlflow``.
        """

    @hookspec
    def on_images(self, run: Run, step: int, name: str, picture: np.ndarray, path: Path) -> None:
        """A picture has been made, uint8 ``(height, width, 3)``, and saved at ``path``; ``name`` is the same at every step.

        First-party user: ``mlflow``.
        """

    @hookspec
    def after_checkpoint(self, run: Run, step: int, path: Path) -> None:
        """A checkpoint is on disk, whole. First-party user: ``mlflow``."""

    # -- the end -----------------------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    def on_failure(self, run: Run, error: Exception) -> bool | None:
        """A step failed, and ``[train] non_finite`` has no answer to it. Return True when the run has been put into a state to
        go on from (with ``run.restore``), None to let it end.

        **This hook decides**: one trick of a recipe may implement it. First-party user: ``restore_on_read_error``.
        """

    @hookspec
    def after_run(self, run: Run, status: str) -> None:
        """The run is over: ``status`` is ``"finished"``, ``"interrupted"`` (Ctrl-C) or ``"failed"``. Always called, for every trick.

        First-party users: ``mlflow``, ``loss_plot``.
        """

    # -- later -------------------------------------------------------------------------------------------------------------

    @hookspec
    def sync(self, path: Path, tell: Callable[[str], None]) -> None:
        """``ganlab sync``: send what is not there yet of the run in the folder ``path`` to where the trick sends runs.

        There is no run, only its files. ``tell`` prints one clear paragraph; raise a ``GanlabError`` when it cannot be done.
        Doing it twice must change nothing. First-party user: ``mlflow``.
        """
