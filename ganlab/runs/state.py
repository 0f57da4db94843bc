"""The whole state of a run between two steps: as a tree that a checkpoint holds, and back."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ganlab.errors import GanlabError
from ganlab.game.blame import blamed
from ganlab.game.hooks import Trick
from ganlab.recipe import differences
from ganlab.runs import retention
from ganlab.storage import checkpoint

if TYPE_CHECKING:
    from ganlab.game.player import Player
    from ganlab.runs.run import Run


def state_of(run: Run) -> dict[str, Any]:
    """Everything that the rest of the run depends on, as a tree of tensors and plain data."""
    state: dict[str, Any] = {
        role: {"network": dict(player.network.state_dict()), "optimizer": player.optimizer_state(), "updates": player.updates}
        for role, player in run.players.items()
    }
    state |= {"recipe": differences.kept(run.recipe), "step": run.step, "batches_drawn": run.draws.feed.drawn}
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
            _put_back_optimizer(run, player, state, changed)
        except (RuntimeError, ValueError) as error:
            said = [line.strip() for line in str(error).splitlines() if line.strip() and "loading state_dict" not in line]
            more = f" (and {len(said) - 2} more)" if len(said) > 2 else ""
            hint = "weights go on in the same network alone: put its options back, or begin a new run with `ganlab run`"
            raise GanlabError(f"checkpoint {path} is of another {role} than this recipe's: {' '.join(said[:2])}{more}", hint) from error
        player.updates = state[role]["updates"]
    run.step = state["step"]
    run.draws.go_to(state["batches_drawn"])
    run.metrics.load_state_dict(state["metrics"])
    if not {"train.keep_best", "train.best_is"} & set(changed):
        run.best.load_state_dict(state["best"])
    run.guard.load_state_dict(state["non_finite"])
    run.whole = True
    for trick in stateful(run):
        if trick.name not in state["tricks"] or f"tricks.{trick.name}.use" in changed:
            continue
        with blamed(f"{trick.owner}, in its load_state_dict,"):
            trick.instance.load_state_dict(state["tricks"][trick.name])  # type: ignore[attr-defined]
    if run.folder is not None:
        with run.writing:
            run.folder.truncate(run.step)
        if path.parent == run.folder.checkpoints:
            retention.go_back(run, run.folder, path, state["journal"])
    run.start_clock()


def check_keys(path: Path, state: dict[str, Any]) -> None:
    """See that a checkpoint has all that a run is put back from.

    Raises:
        GanlabError: it has not: another version of ganlab wrote it.
    """
    needed = ("generator", "discriminator", "recipe", "step", "batches_drawn", "metrics", "journal", "best", "non_finite", "tricks")
    missing = [key for key in needed if key not in state]
    if missing:
        raise GanlabError(f"checkpoint {path} has no {', '.join(missing)}: another version of ganlab wrote it", "resume with that version")


def _put_back_optimizer(run: Run, player: Player, state: dict[str, Any], changed: Collection[str]) -> None:
    """An optimizer's state holds its options too: those that the recipe has changed are the recipe's.

    Another optimizer begins anew, and so does one whose options need other averages than it had (amsgrad, momentum).
    """
    options = f"{player.role}.optimizer."
    if not any(key.startswith(options) for key in changed):
        player.optimizer.load_state_dict(state[player.role]["optimizer"])
        return
    if f"{options}use" in changed:
        return
    now, before = _groups(player.optimizer), _groups(_made(run, player, _options_then(state["recipe"], options)))
    averages = _averages(_made(run, player, {}))
    player.optimizer.load_state_dict(state[player.role]["optimizer"])
    if player.optimizer.state and _names(player.optimizer) != averages:
        player.optimizer.state.clear()
        run.announce(f"The {player.role}'s optimizer begins anew: with its new options it needs other averages than it had.")
    for group, new, old in zip(player.optimizer.param_groups, now, before, strict=True):
        group.update({key: value for key, value in new.items() if value != old.get(key)})


def _made(run: Run, player: Player, options: dict[str, Any]) -> torch.optim.Optimizer:
    """The player's optimizer as its recipe has it but for ``options``, on copies of its parameters."""
    from ganlab.game.build import make

    choice = getattr(run.recipe, player.role).optimizer
    kept = {name: value for name, value in options.items() if name in choice.options}
    copies = [torch.nn.Parameter(p.detach().clone()) for p in player.parameters]
    made: torch.optim.Optimizer = make(replace(choice, options=choice.options | kept), copies)
    return made


def _options_then(recipe: dict[str, Any], table: str) -> dict[str, Any]:
    """An optimizer's options in a checkpoint's recipe, where lists and truth values stand as TOML writes them."""
    found = {}
    for key, value in recipe.items():
        if key.startswith(table):
            with contextlib.suppress(ValueError):  # it is text
                value = tomllib.loads(f"x = {value}")["x"]
            found[key.removeprefix(table)] = tuple(value) if isinstance(value, list) else value
    return found


def _groups(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    return [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]


def _averages(optimizer: torch.optim.Optimizer) -> set[str]:
    """What an optimizer keeps of each parameter once it has stepped."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return _names(optimizer)


def _names(optimizer: torch.optim.Optimizer) -> set[str]:
    return {name for kept in optimizer.state.values() for name, value in kept.items() if value is not None}


def stateful(run: Run) -> list[Trick]:
    """The tricks that have state."""
    return [trick for trick in run.tricks if hasattr(trick.instance, "state_dict")]


def _state_of(trick: Trick) -> Any:
    with blamed(f"{trick.owner}, in its state_dict,"):
        return checkpoint.checked(trick.instance.state_dict())  # type: ignore[attr-defined]
