"""From a recipe to the objects of a run. Everything that can be refused is refused here, before the first step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ganlab.components import Dataset, DatasetSpec, NetworkSpec, Noise, Role
from ganlab.errors import RecipeError, UsageError
from ganlab.game.blame import blamed
from ganlab.game.hooks import Trick, connect
from ganlab.game.player import Player
from ganlab.game.random_streams import default_generators_restored, derive, seed_default_generators
from ganlab.recipe import Choice, Recipe
from ganlab.runs.run import PlayerLoss, Run
from ganlab.speed import graphs
from ganlab.speed.compiled import Compiled
from ganlab.speed.lazy_compiler import spare_the_compiler

ROLES: tuple[Role, Role] = ("generator", "discriminator")


def make(choice: Choice, *given: Any) -> Any:
    """Call the factory of what the recipe chose. A ValueError it raises is a mistake in the recipe, at the choice's place.

    Raises:
        RecipeError: so it is; or the factory made a class, of which nothing can be asked.
    """
    with blamed(owner_of(choice)):
        try:
            made = choice.entry.factory(*given, **choice.options)
        except ValueError as error:
            raise RecipeError([f"{choice.where}: {choice.kind} '{choice.use}': {error}"]) from error
    if isinstance(made, type):
        raise RecipeError(
            [f"{choice.where}: {owner_of(choice)} made the class {made.__name__}, not an object"], f"make one: `{made.__name__}()`"
        )
    return made


def owner_of(choice: Choice) -> str:
    """Who is to blame: ``trick 'clamp' (plugin stability, ganlab 0.1.0)``."""
    named = f" named '{choice.name}'" if choice.kind in ("trick", "metric") and choice.name != choice.use else ""
    return f"{choice.kind} '{choice.use}'{named} (plugin {choice.entry.plugin}, {choice.entry.origin})"


def make_data(recipe: Recipe, root: Path, download: bool = True) -> Dataset:
    """The recipe's data set.

    Raises:
        DataUnavailable: it cannot be had here.
        UsageError: it has fewer samples than a batch.
    """
    dataset: Dataset = make(recipe.data, DatasetSpec(root, derive(recipe.train.seed, "data"), download))
    needed = ("__len__", "place", "fetch", "prefetch", "picture", "fingerprint", "shape", "range", "class_names")
    check_parts(recipe.data, dataset, needed, "data set", "return one: `ganlab.ResidentDataset(tensor)` makes it of a tensor of samples")
    if not len(dataset):
        raise RecipeError([f"{recipe.data.where}: {owner_of(recipe.data)} has no samples"])
    train = recipe.train
    key = "batch_size" if train.discriminator_batch_size is None else "discriminator_batch_size"
    batch, most = train.batch_of("discriminator"), len(dataset) - (recipe.schedule.real_batches == "contiguous")
    if batch > most:
        many = "more than" if batch > len(dataset) else "as many as"
        raise UsageError(
            f"train.{key} = {batch} is {many} dataset '{recipe.data.use}' has: {len(dataset)} samples", f"use a {key} of at most {most}"
        )
    return dataset


def check_parts(choice: Choice, made: object, needed: Sequence[str], kind: str, hint: str) -> None:
    """Refuse what is not of its kind before anything begins.

    Raises:
        RecipeError: ``made`` lacks one of the attributes ``needed``.
    """
    with blamed(owner_of(choice)):
        for name in needed:
            if inspect.getattr_static(made, name, None) is None and not hasattr(made, name):
                article = "an" if type(made).__name__[0] in "AEIOUaeiou" else "a"
                text = f"{choice.where}: {owner_of(choice)} made {article} {type(made).__name__}, which is no {kind}: it has no {name}"
                raise RecipeError([text], hint)
            getattr(made, name)  # a property may raise: that is its owner's error, even where it is an AttributeError


def build(run: Run, dataset: Dataset, extra: list[Trick]) -> None:
    """Fill ``run``: tricks first, for they may change how networks are built; then players and losses."""
    recipe = run.recipe
    noise = make_noise(recipe.noise)
    run.tricks = [Trick(choice.name, make(choice), owner_of(choice)) for choice in recipe.tricks] + extra
    run.hooks = connect(run.tricks, run.streams, run.announce)
    dataset.place(run.device, run.dtype)
    run.use_data(dataset, noise, sampling_law(recipe, noise))
    for role in ROLES:
        run.losses[role] = make_loss(recipe.losses[role], role)
    check_losses(run)
    for moment, role in enumerate(ROLES):
        run.streams.moment = moment  # hooks draw other numbers for each player
        run.players[role] = build_player(run, role)
    check_labels(run)
    run.metrics.probabilities = run.losses["discriminator"].logits
    check_ranges(run)


def make_noise(choice: Choice) -> Noise:
    """A law of latents."""
    noise: Noise = make(choice)
    check_parts(
        choice, noise, ("shape", "sample"), "noise", "a noise has an attribute shape and a method sample(count, generator, device, dtype)"
    )
    return noise


def make_loss(choice: Choice, role: Role) -> PlayerLoss:
    """One player's loss."""
    loss = PlayerLoss(make(choice), owner_of(choice))
    needed = ["generator"] if role == "generator" else ["discriminator"] if loss.pairs else ["real", "fake"]
    hint = "a loss has methods real(turn), fake(turn) and generator(turn); with pairs = True, discriminator(turn) in place of the first two"
    check_parts(choice, loss.instance, needed, f"loss of the {role}", hint)
    return loss


def sampling_law(recipe: Recipe, noise: Noise) -> Noise:
    """The law of samples and sheets: that of ``[sampling_noise]``, else ``noise``, the training's own."""
    if recipe.sampling_noise is None:
        return noise
    law = make_noise(recipe.sampling_noise)
    if tuple(law.shape) != tuple(noise.shape):
        raise RecipeError(
            [f"{recipe.sampling_noise.where}: [sampling_noise] has latents of shape {tuple(law.shape)}, and [noise] {tuple(noise.shape)}"],
            "give both the same dimension",
        )
    return law


def build_player(run: Run, role: Role) -> Player:
    """A player whose network is initialised from a random stream of its own."""
    choice = getattr(run.recipe, role)
    data, noise = tuple(run.dataset.shape), tuple(run.noise.shape)
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = (noise, data) if role == "generator" else (data, (1,))
    spec = NetworkSpec(role, *shapes, classes=len(run.dataset.class_names))
    run.hooks.before_build(run=run, spec=spec)
    with default_generators_restored(run.device):
        seed_default_generators(derive(run.seed, "initialization", role), run.device)
        network = make(choice.network, spec)
        if not isinstance(network, nn.Module):
            raise RecipeError([f"{choice.network.where}: {owner_of(choice.network)} is no torch.nn.Module"])
        network = network.to(run.device, run.dtype)
    player = Player(role, network, spec, f"the {role}, {owner_of(choice.network)}")
    run.hooks.after_build(run=run, player=player)
    player.refresh()
    if not player.parameters:
        raise RecipeError([f"{choice.network.where}: the {role} has no parameters to train"])
    spare_the_compiler()
    player.optimizer = make(choice.optimizer, player.parameters)
    needed = ("step", "zero_grad", "state_dict", "load_state_dict", "param_groups")
    check_parts(
        choice.optimizer, player.optimizer, needed, "optimizer", "return one: a torch.optim.Optimizer of the parameters it is given"
    )
    if run.recipe.train.compile:
        player.speed_up(functools.partial(Compiled, run))
    if run.recipe.train.cuda_graphs:
        graphs.speed_up(run, player)
    return player


def check_losses(run: Run) -> None:
    """Refuse a schedule that the losses cannot be trained with."""
    train, other = run.recipe.train, run.losses["generator"]
    if other.pairs and train.batch_of("generator") != train.batch_of("discriminator"):
        text = f"{run.recipe.losses['generator'].where}: {other.owner} compares each fake with a real sample of the discriminator's batch"
        raise RecipeError([f"{text}, and train.discriminator_batch_size makes that another size"], "remove train.discriminator_batch_size")
    loss, where = run.losses["discriminator"], run.recipe.losses["discriminator"].where
    if loss.pairs and run.schedule.discriminator_turn == "two_updates":
        text = f'{where}: {loss.owner} compares real with fake scores; schedule.discriminator_turn = "two_updates" never has both'
        raise RecipeError([text], 'use discriminator_turn = "two_passes"')
    if loss.pairs and run.schedule.discriminator_loss == "mean":
        text = f'{where}: {loss.owner} has one term for both sides; schedule.discriminator_loss = "mean" has nothing to halve'
        raise RecipeError([text], 'use discriminator_loss = "sum"')


def check_labels(run: Run) -> None:
    """Refuse a discriminator that sees the labels of real images and none of fakes: it would tell them apart by that."""
    generator, discriminator = run.players["generator"], run.players["discriminator"]
    if run.dataset.class_names and discriminator.takes_labels and not generator.takes_labels:
        where = run.recipe.discriminator.network.where
        raise RecipeError(
            [f"{where}: {discriminator.owner} takes labels, and {generator.owner} does not: fakes would have none"],
            "use a generator that takes labels too, or a discriminator that takes none",
        )


def check_ranges(run: Run) -> None:
    """Say so when the generator's outputs, as far as it tells, are not of the data's range: a frequent cause of poor samples."""
    made, wanted = getattr(run.players["generator"].network, "output_range", None), run.dataset.range
    if made is not None and wanted is not None and tuple(made) != tuple(wanted):
        run.announce(
            f"The generator's output lies in {list(made)} and the data in {list(wanted)}: it cannot match them. "
            "Give the generator another output_activation (tanh for [-1, 1], sigmoid for [0, 1]) or the data another range."
        )
