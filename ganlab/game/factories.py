"""Components made by the factories that a recipe picks, and refused at once where they lack a part."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.components import Dataset, DatasetSpec, Noise, Role
from ganlab.errors import RecipeError, UsageError
from ganlab.game.blame import blamed
from ganlab.game.random_streams import derive
from ganlab.recipe import Choice, Recipe


@dataclass(frozen=True)
class PlayerLoss:
    """A player's loss, and who wrote it."""

    instance: Any
    owner: str

    @property
    def pairs(self) -> bool:
        """Whether it compares real with fake scores."""
        return bool(getattr(self.instance, "pairs", False))

    @property
    def label_targets(self) -> bool:
        """Whether it honours ``turn.real_target`` and ``turn.fake_target``."""
        return bool(getattr(self.instance, "label_targets", False))

    @property
    def logits(self) -> bool:
        """Whether sigmoid(score) is a probability."""
        return bool(getattr(self.instance, "logits", False))


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
