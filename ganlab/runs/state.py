"""The whole state of a run between two steps: one registry of stateful parts in a fixed order. A checkpoint is that registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ganlab.errors import GanlabError
from ganlab.game.blame import blamed
from ganlab.game.game import Game
from ganlab.game.hooks import Trick
from ganlab.game.player import Player
from ganlab.recipe import Choice, Recipe, differences
from ganlab.records.metric_lines import Journal
from ganlab.runs.optimizer_state import load_optimizer
from ganlab.runs.retention import Best
from ganlab.storage import checkpoint


class Stateful(Protocol):
    """A part of a run whose state a checkpoint holds: a tree of tensors and plain data."""

    def state_dict(self) -> Any:
        """The state as it is now."""

    def load_state_dict(self, state: Any) -> None:
        """Put back what ``state_dict`` gave."""


@dataclass(frozen=True)
class Changes:
    """In what a recipe differs from the one of the checkpoint that is loaded.

    Attributes:
        keys: of the recipe, as ``--set`` takes them.
        other_tricks: the run may have other tricks than the checkpoint: those that it does not know start from their initial state.
    """

    keys: frozenset[str] = frozenset()
    other_tricks: bool = False


def parts_of(game: Game, journal: Journal, best: Best, changes: Changes = Changes()) -> dict[str, Stateful]:
    """Every stateful part by its name in a checkpoint; they are saved and loaded in this order.

    Args:
        game, journal, best: the parts' owners.
        changes: of the recipe since the checkpoint: what they touch is not loaded.
    """
    recipe_state = RecipeState(game.recipe)
    return {
        "generator": PlayerState(game, game.players["generator"], game.recipe.generator.optimizer, recipe_state, changes),
        "discriminator": PlayerState(game, game.players["discriminator"], game.recipe.discriminator.optimizer, recipe_state, changes),
        "recipe": recipe_state,
        "step": StepState(game),
        "batches_drawn": game.draws,
        "metrics": game.metrics,
        "journal": JournalState(journal),
        "best": best if not {"train.keep_best", "train.best_is"} & changes.keys else Unchanged(best),
        "non_finite": game.guard,
        "tricks": TrickStates(game.tricks, changes),
    }


def state_of(game: Game, journal: Journal, best: Best) -> dict[str, Any]:
    """Everything that the rest of the run depends on, as a tree of tensors and plain data."""
    return {name: part.state_dict() for name, part in parts_of(game, journal, best).items()}


def check_names(path: Path, state: dict[str, Any]) -> None:
    """See that a checkpoint has the state of every part.

    Raises:
        GanlabError: it has not: another version of ganlab wrote it.
    """
    missing = [name for name in NAMES if name not in state]
    if missing:
        raise GanlabError(f"checkpoint {path} has no {', '.join(missing)}: another version of ganlab wrote it", "resume with that version")


def load_state(game: Game, journal: Journal, best: Best, path: Path, state: dict[str, Any], changes: Changes) -> None:
    """Put the game and ``best`` into ``state``, which is that of the checkpoint ``path``.

    Raises:
        GanlabError: the checkpoint is of other tricks or other networks than the recipe's.
    """
    parts = parts_of(game, journal, best, changes)
    tricks = {trick.name for trick in stateful_tricks(game.tricks)}
    if not changes.other_tricks and set(state["tricks"]) != tricks:
        raise GanlabError(f"checkpoint {path} has the state of other tricks than this recipe: {sorted(state['tricks'])}")
    parts["recipe"].load_state_dict(state["recipe"])  # the players ask it for their optimizers' options
    for name, part in parts.items():
        try:
            part.load_state_dict(state[name])
        except WrongNetwork as error:
            hint = "weights go on in the same network alone: put its options back, or begin a new run with `ganlab run`"
            raise GanlabError(f"checkpoint {path} is of another {name} than this recipe's: {error}", hint) from error
    game.step_is_complete = True


class WrongNetwork(Exception):
    """The state of a player is that of another network or optimizer; says in what."""


class PlayerState:
    """A player's network, its optimizer and how often it has stepped."""

    def __init__(self, game: Game, player: Player, choice: Choice, recipe_state: RecipeState, changes: Changes) -> None:
        self.game, self.player, self.choice, self.recipe_state, self.changes = game, player, choice, recipe_state, changes

    def state_dict(self) -> dict[str, Any]:
        """The three of them."""
        player = self.player
        return {"network": dict(player.network.state_dict()), "optimizer": player.optimizer_state(), "updates": player.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave; optimizer options that the recipe has changed stay the recipe's.

        Raises:
            WrongNetwork: it is of another network.
        """
        player = self.player
        try:
            player.network.load_state_dict(state["network"])
            starts_over = load_optimizer(player, self.choice, state["optimizer"], self.recipe_state.loaded, self.changes.keys)
        except (RuntimeError, ValueError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip() and "loading state_dict" not in line]
            more = f" (and {len(lines) - 2} more)" if len(lines) > 2 else ""
            raise WrongNetwork(f"{' '.join(lines[:2])}{more}") from error
        if starts_over:
            self.game.announce(
                f"The {player.role}'s optimizer starts from its initial state: with its new options it needs other averages than it had."
            )
        player.updates = state["updates"]


class RecipeState:
    """The recipe's options by name; ``loaded`` has those of the checkpoint. A recipe is compared, and never changed."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.loaded: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        """The options that numbers depend on."""
        return differences.recorded_options(self.recipe)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember the checkpoint's."""
        self.loaded = state


class StepState:
    """The latest step."""

    def __init__(self, game: Game) -> None:
        self.game = game

    def state_dict(self) -> int:
        """Its number."""
        return self.game.step

    def load_state_dict(self, state: int) -> None:
        """Go on after it."""
        self.game.step = state


class JournalState:
    """The checksum of the metrics' lines. What is in the file counts: it is read again once the file is cut back."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def state_dict(self) -> dict[str, Any]:
        """How many lines, and their checksum."""
        return self.journal.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do here."""


class Unchanged:
    """A part whose state in the checkpoint does not count any more, because the recipe has changed."""

    def __init__(self, part: Stateful) -> None:
        self.part = part

    def state_dict(self) -> Any:
        """The part's."""
        return self.part.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """The part stays as it is."""


class TrickStates:
    """The tricks that have state, by their names in the recipe."""

    def __init__(self, tricks: list[Trick], changes: Changes) -> None:
        self.tricks, self.changes = tricks, changes

    def state_dict(self) -> dict[str, Any]:
        """The state of each."""
        states = {}
        for trick in stateful_tricks(self.tricks):
            with blamed(f"{trick.owner}, in its state_dict,"):
                states[trick.name] = checkpoint.checked(trick.instance.state_dict())  # type: ignore[attr-defined]
        return states

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put it back; new tricks, and another trick under an old name, start from their initial state."""
        for trick in stateful_tricks(self.tricks):
            if trick.name in state and f"tricks.{trick.name}.use" not in self.changes.keys:
                with blamed(f"{trick.owner}, in its load_state_dict,"):
                    trick.instance.load_state_dict(state[trick.name])  # type: ignore[attr-defined]


def stateful_tricks(tricks: list[Trick]) -> list[Trick]:
    """The tricks that have state."""
    return [trick for trick in tricks if hasattr(trick.instance, "state_dict")]


#: The names of all parts, as a checkpoint has them.
NAMES = ("generator", "discriminator", "recipe", "step", "batches_drawn", "metrics", "journal", "best", "non_finite", "tricks")
