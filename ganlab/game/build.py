"""From a recipe to the objects of a game. Everything that can be refused is refused here, before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ganlab.components import Dataset, NetworkSpec, Role
from ganlab.errors import RecipeError
from ganlab.game.factories import check_parts, make, make_loss, make_noise, owner_of, sampling_law
from ganlab.game.game import Game
from ganlab.game.hooks import Trick, connect
from ganlab.game.player import Player
from ganlab.game.random_streams import default_generators_restored, derive, seed_default_generators

ROLES: tuple[Role, Role] = ("generator", "discriminator")


def build(game: Game, dataset: Dataset, extra: list[Trick], constant: Mapping[str, Any]) -> None:
    """Fill ``game``: tricks first, for they may change how networks are built; then players and losses.

    Args:
        game: made from the recipe, and empty.
        dataset: the recipe's.
        extra: tricks that the recipe does not list; they are called after its own.
        constant: arguments that every call of a hook gets, by name: ``{"run": run}``.
    """
    recipe = game.recipe
    noise = make_noise(recipe.noise)
    game.tricks = [Trick(choice.name, make(choice), owner_of(choice)) for choice in recipe.tricks] + extra
    game.hooks = connect(game.tricks, game.streams, game.announce, constant)
    dataset.place(game.device, game.dtype)
    game.use_data(dataset, noise, sampling_law(recipe, noise))
    for role in ROLES:
        game.losses[role] = make_loss(recipe.losses[role], role)
    check_losses(game)
    for moment, role in enumerate(ROLES):
        game.streams.moment = moment  # hooks draw other numbers for each player
        game.players[role] = build_player(game, role)
    check_labels(game)
    game.metrics.probabilities = game.losses["discriminator"].logits
    check_ranges(game)


def build_player(game: Game, role: Role) -> Player:
    """A player whose network is initialised from a random stream of its own."""
    choice = getattr(game.recipe, role)
    data, noise = tuple(game.dataset.shape), tuple(game.noise.shape)
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = (noise, data) if role == "generator" else (data, (1,))
    spec = NetworkSpec(role, *shapes, classes=len(game.dataset.class_names))
    game.hooks.before_build(spec=spec)
    with default_generators_restored(game.device):
        seed_default_generators(derive(game.seed, "initialization", role), game.device)
        network = make(choice.network, spec)
        if not isinstance(network, nn.Module):
            raise RecipeError([f"{choice.network.where}: {owner_of(choice.network)} is no torch.nn.Module"])
        network = network.to(game.device, game.dtype)
    player = Player(role, network, spec, f"the {role}, {owner_of(choice.network)}")
    game.hooks.after_build(player=player)
    player.refresh()
    if not player.parameters:
        raise RecipeError([f"{choice.network.where}: the {role} has no parameters to train"])
    player.optimizer = make(choice.optimizer, player.parameters)
    needed = ("step", "zero_grad", "state_dict", "load_state_dict", "param_groups")
    check_parts(
        choice.optimizer, player.optimizer, needed, "optimizer", "return one: a torch.optim.Optimizer of the parameters it is given"
    )
    return player


def check_losses(game: Game) -> None:
    """Refuse a schedule that the losses cannot be trained with."""
    train, other = game.recipe.train, game.losses["generator"]
    if other.pairs and train.batch_of("generator") != train.batch_of("discriminator"):
        text = f"{game.recipe.losses['generator'].where}: {other.owner} compares each fake with a real sample of the discriminator's batch"
        raise RecipeError([f"{text}, and train.discriminator_batch_size makes that another size"], "remove train.discriminator_batch_size")
    loss, where = game.losses["discriminator"], game.recipe.losses["discriminator"].where
    if loss.pairs and game.schedule.discriminator_turn == "two_updates":
        text = f'{where}: {loss.owner} compares real with fake scores; schedule.discriminator_turn = "two_updates" never has both'
        raise RecipeError([text], 'use discriminator_turn = "two_passes"')
    if loss.pairs and game.schedule.discriminator_loss == "mean":
        text = f'{where}: {loss.owner} has one term for both sides; schedule.discriminator_loss = "mean" has nothing to halve'
        raise RecipeError([text], 'use discriminator_loss = "sum"')


def check_labels(game: Game) -> None:
    """Refuse a discriminator that sees the labels of real images and none of fakes: it would tell them apart by that."""
    generator, discriminator = game.players["generator"], game.players["discriminator"]
    if game.dataset.class_names and discriminator.takes_labels and not generator.takes_labels:
        where = game.recipe.discriminator.network.where
        raise RecipeError(
            [f"{where}: {discriminator.owner} takes labels, and {generator.owner} does not: fakes would have none"],
            "use a generator that takes labels too, or a discriminator that takes none",
        )


def check_ranges(game: Game) -> None:
    """Say so when the generator's outputs, as far as it tells, are not of the data's range: a frequent cause of poor samples."""
    made, wanted = getattr(game.players["generator"].network, "output_range", None), game.dataset.range
    if made is not None and wanted is not None and tuple(made) != tuple(wanted):
        game.announce(
            f"The generator's output lies in {list(made)} and the data in {list(wanted)}: it cannot match them. "
            "Give the generator another output_activation (tanh for [-1, 1], sigmoid for [0, 1]) or the data another range."
        )
