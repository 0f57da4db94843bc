"""The whole state of a run between two steps: as a tree that a checkpoint holds, and back."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.engine import checkpoint, keeping, sameness
from ganlab.engine.faults import blamed
from ganlab.engine.hooks import Trick
from ganlab.errors import GanlabError

if TYPE_CHECKING:
    from ganlab.engine.player import Player
    from ganlab.engine.run import Run


def state_of(run: Run) -> dict[str, Any]:
    """Everything that the rest of the run depends on, as a tree of tensors and plain data."""
    state: dict[str, Any] = {
        role: {"network": dict(player.network.state_dict()), "optimizer": player.optimizer_state(), "updates": player.updates}
        for role, player in run.players.items()
    }
    state |= {"recipe": sameness.kept(run.recipe), "step": run.step, "batches_drawn": run.draws.feed.drawn}
    state |= {"metrics": run.metrics.state_dict(), "journal": run.journal.state_dict(), "best": run.best.state_dict()}
    state["non_finite"] = run.guard.state_dict()
    state["tricks"] = {trick.name: _state_of(trick) for trick in stateful(run)}
    return state


def put_back(run: Run, path: Path, state: dict[str, Any], other_tricks: bool, changed: Collection[str]) -> None:
    """Put ``run`` into ``state``, which is that of the checkpoint ``path``; what it has made since is dropped.

    Args:
        run, path, state: these.
        other_tricks: the run may have other tricks than the checkpoint: those that it does not know begin anew.
        changed: the keys of the recipe that are other than the checkpoint's.
    """
    if not other_tricks and set(state["tricks"]) != {trick.name for trick in stateful(run)}:
        raise GanlabError(f"checkpoint {path} has the state of other tricks than this recipe: {sorted(state['tricks'])}")
    for role, player in run.players.items():
        try:
            player.network.load_state_dict(state[role]["network"])
            _put_back_optimizer(player, state[role]["optimizer"], changed)
        except (RuntimeError, ValueError) as error:
            raise GanlabError(f"checkpoint {path} is of another {role} than this recipe's: {error}") from error
        player.updates = state[role]["updates"]
    run.step = state["step"]
    run.draws.go_to(state["batches_drawn"])
    run.metrics.load_state_dict(state["metrics"])
    run.best.load_state_dict(state["best"])
    run.guard.load_state_dict(state["non_finite"])
    run.whole = True
    for trick in stateful(run):
        if trick.name not in state["tricks"]:
            continue
        with blamed(f"{trick.owner}, in its load_state_dict,"):
            trick.instance.load_state_dict(state["tricks"][trick.name])  # type: ignore[attr-defined]
    if run.folder is not None:
        with run.writing:
            run.folder.truncate(run.step)
        if path.parent == run.folder.checkpoints:
            keeping.go_back(run, run.folder, path, state["journal"])
    run.start_clock()


def _put_back_optimizer(player: Player, state: dict[str, Any], changed: Collection[str]) -> None:
    """An optimizer's state holds its options too: those that the recipe has changed are the recipe's. Another optimizer begins anew."""
    options = f"{player.role}.optimizer."
    if f"{options}use" in changed:
        return
    asked = [dict(group) for group in player.optimizer.param_groups]
    player.optimizer.load_state_dict(state)
    for group, fresh in zip(player.optimizer.param_groups, asked, strict=True):
        group.update({key: value for key, value in fresh.items() if f"{options}{key}" in changed})


def stateful(run: Run) -> list[Trick]:
    """The tricks that have state."""
    return [trick for trick in run.tricks if hasattr(trick.instance, "state_dict")]


def _state_of(trick: Trick) -> Any:
    with blamed(f"{trick.owner}, in its state_dict,"):
        return checkpoint.checked(trick.instance.state_dict())  # type: ignore[attr-defined]
