"""Builds the objects of a game from its recipe. Mistakes that can be found before the first step are refused here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ganlab.components import Dataset, NetworkSpec
from ganlab.errors import RecipeError
from ganlab.game.factories import check_parts, make, make_loss, make_noise, owner_of, sampling_law
from ganlab.game.game import Game
from ganlab.game.hooks import Trick, connect
from ganlab.game.player import Player
from ganlab.game.random_streams import default_generators_restored, derive, seed_default_generators
from ganlab.roles import ROLES, Role


def build(game: Game, dataset: Dataset, extra: list[Trick], constant: Mapping[str, Any]) -> None:
    """Fill ``game``: tricks first, because they may change how networks are built; then losses and players.

    Args:
        game: created from the recipe, and still empty.
        dataset: the recipe's data set.
        extra: tricks that the recipe does not list. They are called after the recipe's own.
        constant: arguments that are the same in every hook call, by name.

    Raises:
        RecipeError: the recipe's components do not work, or do not work together.
        PluginError: the code of a plugin failed.
    """
    recipe = game.recipe
    noise = make_noise(recipe.noise)
    game.tricks = [Trick(choice.name, make(choice), owner_of(choice)) for choice in recipe.tricks] + extra
    game.hooks = connect(game.tricks, game.streams, game.announce, constant)
    if hasattr(dataset, "announce"):
        dataset.announce = game.announce
    dataset.place(game.device, game.dtype)
    game.use_data(dataset, noise, sampling_law(recipe, noise))
    for role in ROLES:
        game.losses[role] = make_loss(recipe.losses[role], role)
    check_losses(game)
    for moment, role in enumerate(ROLES):
        game.streams.moment = moment  # hooks draw different numbers for each player
        game.players[role] = build_player(game, role)
    check_labels(game)
    game.metrics.probabilities = game.losses["discriminator"].logits
    check_ranges(game)


def build_player(game: Game, role: Role) -> Player:
    """Build a player. Its network is initialized from a random stream of its own."""
    choice = getattr(game.recipe, role)
    data, noise = tuple(game.dataset.shape), tuple(game.noise.shape)
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = (noise, data) if role == "generator" else (data, (1,))
    spec = NetworkSpec(role, *shapes, classes=len(game.dataset.class_names))
    game.hooks.before_build(spec=spec)
    with default_generators_restored(game.device):
        seed_default_generators(derive(game.seed, "initialization", role), game.device)
        network = make(choice.network, spec)
        if not isinstance(network, nn.Module):
            raise RecipeError([f"{choice.network.where}: {owner_of(choice.network)} is not a torch.nn.Module"])
        network = network.to(game.device, game.dtype)
    player = Player(role, network, spec, f"the {role}, {owner_of(choice.network)}")
    game.hooks.after_build(player=player)
    player.refresh()
    if not player.parameters:
        raise RecipeError([f"{choice.network.where}: the {role} has no parameters to train"])
    player.optimizer = make(choice.optimizer, player.parameters)
    needed = ("step", "zero_grad", "state_dict", "load_state_dict", "param_groups")
    check_parts(choice.optimizer, player.optimizer, needed, "optimizer", "return a torch.optim.Optimizer for the parameters that it gets")
    return player


def check_losses(game: Game) -> None:
    """Check that the losses can be trained with the schedule.

    Raises:
        RecipeError: they cannot.
    """
    train, generator_loss = game.recipe.train, game.losses["generator"]
    if generator_loss.pairs and train.batch_of("generator") != train.batch_of("discriminator"):
        where = game.recipe.losses["generator"].where
        text = f"{where}: {generator_loss.owner} compares each fake with a real sample of the discriminator's batch"
        raise RecipeError([f"{text}, but train.discriminator_batch_size is another size"], "remove train.discriminator_batch_size")
    loss, where = game.losses["discriminator"], game.recipe.losses["discriminator"].where
    if loss.pairs and game.schedule.discriminator_turn == "two_updates":
        text = f'{loss.owner} compares real with fake scores; schedule.discriminator_turn = "two_updates" never computes both in one turn'
        raise RecipeError([f"{where}: {text}"], 'use discriminator_turn = "two_passes"')
    if loss.pairs and game.schedule.discriminator_loss == "mean":
        text = f'{loss.owner} has one term for both sides; schedule.discriminator_loss = "mean" needs one for each side'
        raise RecipeError([f"{where}: {text}"], 'use discriminator_loss = "sum"')


def check_labels(game: Game) -> None:
    """Check that fakes have labels if the discriminator takes labels. Otherwise it could tell real from fake by the labels.

    Raises:
        RecipeError: they have none.
    """
    generator, discriminator = game.players["generator"], game.players["discriminator"]
    if game.dataset.class_names and discriminator.takes_labels and not generator.takes_labels:
        where = game.recipe.discriminator.network.where
        raise RecipeError(
            [f"{where}: {discriminator.owner} takes labels, but {generator.owner} does not: fakes would have no labels"],
            "use a generator that takes labels, or a discriminator that takes none",
        )


def check_ranges(game: Game) -> None:
    """Announce a generator whose declared output range is not the range of the data: a frequent cause of poor samples."""
    output_range, data_range = getattr(game.players["generator"].network, "output_range", None), game.dataset.range
    if output_range is not None and data_range is not None and tuple(output_range) != tuple(data_range):
        game.announce(
            f"The generator's output lies in {list(output_range)}, but the data in {list(data_range)}: it cannot match them. "
            "Give the generator another output_activation (tanh for [-1, 1], sigmoid for [0, 1]) or the data another range."
        )
