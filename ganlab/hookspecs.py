"""All hooks of ganlab, in the order in which a run calls them. This file is the manual.

There are two sets. The **registration hooks** are module-level functions of a plugin. ganlab calls them once, when it looks
for plugins, and they register names. The **run hooks** are methods of a trick. ganlab calls them during a run, and only for
the tricks that the run's recipe lists.

Rules that hold for every run hook:

- Mark it with ``@ganlab.hookimpl``. Take only the parameters that you need, with the names below. Default values and
  ``wrapper=True`` are refused when the recipe is loaded.
- **Recipe order is call order**: the first ``[[tricks]]`` table is called first.
- A hook that changes a value assigns it to ``turn`` (``turn.real``, ``turn.fake_scores``, ``turn.loss_terms`` ...) and returns None.
  ganlab warns once about any other return value and ignores it: only ``plan_step``, ``may_play``, ``play_again`` and ``on_failure``
  return one.
- The objects that a hook receives take no new attributes: ``turn.faek = ...`` is an error that suggests ``fake``. Keep state in the trick.
- torch's default random generators are seeded for each call, from the run's seed, the trick's name, the hook and the step or turn:
  ``torch.randn`` in a hook is reproducible after a resume, and does not affect other random streams.
- Inside a turn keep values on the device: ``.item()`` waits for the device. ``run.record(name, tensor)`` does not.
- A trick's class may declare what ganlab cannot know, in class attributes. ``host_sync: ClassVar[str]`` is the reason why a trick waits
  for the device within a turn. ``prevents_non_finite: ClassVar[bool] = True`` lists the trick in the hint of an error about a number that
  is not finite. ``display_lines: ClassVar[dict[str, str]]`` adds lines to the display of a run: labels, and texts in which the name of a
  metric in braces becomes its sum over the run. ``next_commands: ClassVar[dict[str, str]]`` is shown at the end of a run: purposes such
  as ``"to compare runs"``, and commands that a plugin brings.
- A trick with state defines ``state_dict()`` and ``load_state_dict(state)``. ganlab saves the state in every checkpoint and restores
  it on resume. Numbers, strings, lists, dicts and tensors are allowed.
- ``run.stopping = True`` finishes the run after the current step: its samples are measured and its generator is saved, as at the end of
  its budget. ``run.stop()`` interrupts it as Ctrl-C does: it is saved and can be resumed.
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

#: ``register("name", factory)``: the parameter of registration hooks. ganlab.components describes factories.
Register = Callable[[str, Callable[..., Any]], None]


class RegistrationHooks:
    """Register the parts of a plugin. Called once for each plugin, when the catalogue is made."""

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
        """Latent distributions, for ``[noise]``."""

    @hookspec
    def register_optimizers(self, register: Register) -> None:
        """Optimizers, for ``[generator.optimizer]`` and ``[discriminator.optimizer]``; called with the parameters."""

    @hookspec
    def register_metrics(self, register: Register) -> None:
        """Metrics of the samples, for ``[[metrics]]``. First-party user: ``metrics``."""

    @hookspec
    def register_judges(self, register: Register) -> None:
        """Networks that look at images for the metrics, for ``[judge]``; called with a JudgeSpec. First-party user: ``judges``."""

    @hookspec
    def register_tricks(self, register: Register) -> None:
        """Tricks, for ``[[tricks]]`` and ``[tracking]``: factories of objects that implement run hooks."""


class RunHooks:
    """Hooks that a trick may implement, in the order in which a run calls them."""

    # -- before the first step ---------------------------------------------------------------------------------------------

    @hookspec
    def before_build(self, run: Run, spec: NetworkSpec) -> None:
        """Called before a network is built: change ``spec`` to change its shapes.

        Called for the generator, then for the discriminator. First-party user: ``packing``, which widens the
        discriminator's input.
        """

    @hookspec
    def after_build(self, run: Run, player: Player) -> None:
        """Called when ``player.network`` is on its device and has no optimizer yet: add or replace parameters here.

        First-party user: ``spectral_normalization``.
        """

    @hookspec
    def before_run(self, run: Run) -> None:
        """Called before the first step, when everything is built and, in a resumed run, restored.

        ``run.resumed_from`` is the step of the checkpoint in a resumed run, None in a new one. First-party user: ``mlflow``.
        """

    # -- each step ---------------------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    def plan_step(self, run: Run, step: int) -> list[Group] | None:
        """Return the turns of this step as a list of groups, or None for those of the recipe's ``[schedule]``.

        A group is a list of ``Part(player, sides)``. All turns of a group are computed before any of them is applied.
        ``run.groups`` are the recipe's groups. **This hook decides**: only one trick of a recipe may implement it, a
        second one is refused when the recipe is loaded. First-party user: ``discriminator_head_start``.
        """

    @hookspec
    def may_play(self, run: Run, turn: Turn) -> bool | None:
        """Return whether this turn may be played. False is a veto; None and True agree.

        Called for all tricks, and for repeats, too. It must have no side effects: change state in ``after_update`` or
        ``after_step``. First-party user: ``adaptive_generator_steps``.
        """

    @hookspec
    def before_turn(self, run: Run, turn: Turn) -> None:
        """Called at the start of a turn, before samples are drawn. ``turn.player``, ``turn.sides`` and ``turn.repeat`` are set.

        First-party user: ``label_smoothing``, which sets ``turn.real_target`` and ``turn.fake_target``.
        """

    @hookspec
    def before_scores(self, run: Run, turn: Turn) -> None:
        """Called before the discriminator scores ``turn.real`` and ``turn.fake``, ``(batch, *shape)``; None for a side that is not scored.

        In the generator's turn gradients flow through ``turn.fake``. First-party users: ``packing``, ``r1_penalty``.
        """

    @hookspec
    def after_scores(self, run: Run, turn: Turn) -> None:
        """Called when ``turn.real_scores`` and ``turn.fake_scores``, ``(batch,)``, are computed. Losses use the scores assigned here.

        The logged scores are those from before this hook. First-party user: ``clamp``.
        """

    @hookspec
    def loss_terms(self, run: Run, turn: Turn) -> None:
        """Called when ``turn.loss_terms``, a dict of scalars, holds the terms of the loss: add a term under a new name.

        The turn's loss is the sum of all terms. Each is logged as ``loss/<player>.<name>``. First-party user: ``r1_penalty``.
        """

    @hookspec
    def before_update(self, run: Run, turn: Turn) -> None:
        """Called when the gradients of ``turn.player`` are computed, before its optimizer steps.

        ``turn.player.gradient_norm()`` and ``turn.player.scale_gradients(factor)`` use them without a copy to the
        CPU. First-party user: ``gradient_clipping``.
        """

    @hookspec
    def after_update(self, run: Run, turn: Turn) -> None:
        """Called after the update of ``turn.player``, or after its update was withheld because the loss or a gradient was not finite.

        On an accelerator the hook cannot tell which: a trick that reads values here must check that they are finite. First-party users:
        ``adaptive_generator_steps``, ``spectral_normalization``.
        """

    @hookspec
    def play_again(self, run: Run, turn: Turn) -> bool | None:
        """Return whether ``turn.player`` plays this turn again in this step. One True repeats it, if ``may_play`` agrees.

        A repeat draws new noise but no real data, and does not advance ``step``; ``turn.repeat`` counts from 1. Called for all
        tricks; it must have no side effects. First-party user: ``adaptive_generator_steps``.
        """

    @hookspec
    def after_step(self, run: Run, step: int) -> None:
        """Called after all turns of ``step`` (steps count from 1). First-party user: ``adaptive_generator_steps``."""

    @hookspec
    def after_epoch(self, run: Run, epoch: int, means: dict[str, float]) -> None:
        """Called after each pass over the data (epochs count from 1); ``means`` has the epoch's mean of each metric.

        Called before ``on_metrics`` of the same step, and only once if a step passes over the data several times.
        First-party user: ``loss_plot``.
        """

    # -- metrics and files -------------------------------------------------------------------------------------------------

    @hookspec
    def on_metrics(self, run: Run, step: int, metrics: dict[str, float]) -> None:
        """Called with the metrics of one logging interval, which are on the CPU and in the run's ``metrics.jsonl`` already.

        After a quick evaluation its ``quality/...`` are among them. The final evaluation is in ``evaluation.json`` when ``after_run`` is
        called. First-party users: ``health``, ``mlflow``.
        """

    @hookspec
    def on_images(self, run: Run, step: int, name: str, picture: np.ndarray, path: Path) -> None:
        """Called when a picture, uint8 ``(height, width, 3)``, is saved at ``path``; ``name`` is the same at every step.

        First-party user: ``mlflow``.
        """

    @hookspec
    def after_checkpoint(self, run: Run, step: int, path: Path) -> None:
        """Called when a checkpoint is complete on disk. First-party user: ``mlflow``."""

    # -- the end -----------------------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    def on_failure(self, run: Run, error: Exception) -> bool | None:
        """Called when a step failed with an error that ``[train] non_finite`` does not handle.

        Return True after restoring a state from which the run can continue (with ``run.restore``), or None to let the run end.
        **This hook decides**: only one trick of a recipe may implement it. First-party user: ``restore_on_read_error``.
        """

    @hookspec
    def after_run(self, run: Run, status: str) -> None:
        """Called at the end of the run, always, for every trick: ``status`` is ``"finished"``, ``"interrupted"`` (Ctrl-C) or ``"failed"``.

        What it writes is part of the run: a run that is killed before all tricks have been called is not finished, and ``ganlab resume``
        calls them again. An error is announced, and the run is finished without it. First-party users: ``health``, ``loss_plot``.
        """

    @hookspec
    def deliver(self, run: Run, status: str) -> None:
        """Called after ``after_run``, when the run's folder is complete and ``status`` is in its ``run.json``: send it elsewhere.

        Called for every trick, with the same ``status``. The run is over: an error is printed and changes nothing, and Ctrl-C ends the
        process. ``ganlab sync`` completes a delivery that was cut off, with the hook :meth:`sync`. First-party user: ``mlflow``.
        """

    # -- after the run -----------------------------------------------------------------------------------------------------

    @hookspec
    def sync(self, path: Path, tell: Callable[[str], None]) -> None:
        """Called by ``ganlab sync``: send the missing parts of the run in the folder ``path`` to where the trick sends runs.

        No run is live, only its files exist. ``tell`` prints one paragraph; raise a ``GanlabError`` if it fails. A second call
        must change nothing. First-party user: ``mlflow``.
        """
