"""The whole state of a run between two steps, as a checkpoint holds it: saved and loaded part by part."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ganlab.components import Role
from ganlab.errors import GanlabError
from ganlab.game.blame import blamed
from ganlab.game.game import Game
from ganlab.game.hooks import Trick
from ganlab.game.out_of_memory import is_memory_error
from ganlab.game.player import Player
from ganlab.recipe import differences
from ganlab.records.metric_lines import Journal
from ganlab.roles import ROLES
from ganlab.runs.checkpoint_content import UnfitCheckpoint
from ganlab.runs.optimizer_state import load_optimizer
from ganlab.runs.retention import Best
from ganlab.storage import checkpoint


def state_of(game: Game, journal: Journal, best: Best) -> dict[str, Any]:
    """Everything that the rest of the run depends on, as a tree of tensors and plain data."""
    return {
        "generator": _player_state(game.players["generator"]),
        "discriminator": _player_state(game.players["discriminator"]),
        "recipe": differences.recorded_options(game.recipe),
        "step": game.step,
        "batches_drawn": game.draws.state_dict(),
        "metrics": game.metrics.state_dict(),
        "journal": journal.state_dict(),
        "best": best.state_dict(),
        "non_finite": game.guard.state_dict(),
        "tricks": _trick_states(game.tricks),
    }


def load_state(game: Game, best: Best, path: Path, state: dict[str, Any], other_tricks: bool, changed: Collection[str]) -> None:
    """Load the state of a checkpoint into the game and ``best``. The journal is read from its file instead.

    Args:
        other_tricks: the run may have other tricks than the checkpoint: those that it does not know start from their initial state.
        changed: the keys in which the recipe differs from the checkpoint's. What depends on them is not loaded.

    Raises:
        UnfitCheckpoint: the checkpoint has other tricks or other networks than the recipe, or values that cannot be loaded.
        PluginError: a trick cannot load its state.
    """
    tricks = {trick.name for trick in _stateful(game.tricks)}
    if not other_tricks and set(state["tricks"]) != tricks:
        raise UnfitCheckpoint(f"checkpoint {path} has the state of other tricks than this recipe: {sorted(state['tricks'])}")
    for role in ROLES:
        with _unfit(path):
            _load_player(game, role, path, state, changed)
    with _unfit(path):
        game.step = state["step"]
        game.draws.load_state_dict(state["batches_drawn"])
        game.metrics.load_state_dict(state["metrics"])
        if not {"train.keep_best", "train.best_is"}.intersection(changed):
            best.load_state_dict(state["best"])
        game.guard.load_state_dict(state["non_finite"])
        _load_tricks(game.tricks, state["tricks"], changed)
    game.step_is_complete = True


@contextlib.contextmanager
def _unfit(path: Path) -> Iterator[None]:
    """Turn what loading a part of a checkpoint raises into one clear error."""
    try:
        yield
    except Exception as error:
        if isinstance(error, GanlabError) or is_memory_error(error):
            raise
        raise UnfitCheckpoint(f"checkpoint {path} is not what ganlab writes: {type(error).__name__}: {error}", checkpoint.REMOVE) from error


def _player_state(player: Player) -> dict[str, Any]:
    return {"network": dict(player.network.state_dict()), "optimizer": player.optimizer_state(), "updates": player.updates}


def _load_player(game: Game, role: Role, path: Path, state: dict[str, Any], changed: Collection[str]) -> None:
    """Load a player's network, optimizer and counter. Options of the optimizer that the recipe has changed stay the recipe's."""
    player, player_state = game.players[role], state[role]
    choice = game.recipe.generator.optimizer if role == "generator" else game.recipe.discriminator.optimizer
    try:
        player.network.load_state_dict(player_state["network"])
    except (RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and "loading state_dict" not in line]
        more = f" (and {len(lines) - 2} more)" if len(lines) > 2 else ""
        raise UnfitCheckpoint(
            f"checkpoint {path} is of another {role} than this recipe's: {' '.join(lines[:2])}{more}",
            "weights fit the same network only: put its options back, or start a new run with `ganlab run`",
        ) from error
    try:
        starts_over = load_optimizer(player, choice, player_state["optimizer"], state["recipe"], changed)
    except (RuntimeError, ValueError) as error:
        raise UnfitCheckpoint(
            f"checkpoint {path} is of another optimizer of the {role} than this recipe's: {error}", checkpoint.REMOVE
        ) from error
    if starts_over:
        game.announce(f"The {role}'s optimizer starts from its initial state: with its new options it needs other averages than it had.")
    player.updates = player_state["updates"]


def _trick_states(tricks: list[Trick]) -> dict[str, Any]:
    """The state of each trick that has one, by its name in the recipe."""
    states = {}
    for trick in _stateful(tricks):
        with blamed(f"{trick.owner}, in its state_dict,"):
            states[trick.name] = checkpoint.checked(trick.instance.state_dict())  # type: ignore[attr-defined]
    return states


def _load_tricks(tricks: list[Trick], states: dict[str, Any], changed: Collection[str]) -> None:
    """Load the tricks' states. New tricks, and another trick under an old name, start from their initial state."""
    for trick in _stateful(tricks):
        if trick.name in states and f"tricks.{trick.name}.use" not in changed:
            with blamed(f"{trick.owner}, in its load_state_dict,"):
                trick.instance.load_state_dict(states[trick.name])  # type: ignore[attr-defined]


def _stateful(tricks: list[Trick]) -> list[Trick]:
    return [trick for trick in tricks if hasattr(trick.instance, "state_dict")]
