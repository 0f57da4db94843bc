"""Creates the components that a recipe picks, and checks that each has all required attributes."""

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
    """A player's loss, with its name and plugin for error messages."""

    instance: Any
    owner: str

    @property
    def pairs(self) -> bool:
        """Whether the loss compares real with fake scores."""
        return bool(getattr(self.instance, "pairs", False))

    @property
    def label_targets(self) -> bool:
        """Whether the loss uses ``turn.real_target`` and ``turn.fake_target``."""
        return bool(getattr(self.instance, "label_targets", False))

    @property
    def logits(self) -> bool:
        """Whether scores are logits: sigmoid(score) is a probability."""
        return bool(getattr(self.instance, "logits", False))


def make(choice: Choice, *arguments: Any) -> Any:
    """Create a component: call the factory that the recipe has chosen, with ``arguments`` and the recipe's options.

    Raises:
        RecipeError: the factory raised a ValueError, which means a mistake in the recipe; or it returned a class, not an object.
        PluginError: the factory raised any other error.
    """
    with blamed(owner_of(choice)):
        try:
            made = choice.entry.factory(*arguments, **choice.options)
        except ValueError as error:
            raise RecipeError([f"{choice.where}: {choice.kind} '{choice.use}': {error}"]) from error
    if isinstance(made, type):
        raise RecipeError(
            [f"{choice.where}: {owner_of(choice)} made the class {made.__name__}, not an object"], f"make one: `{made.__name__}()`"
        )
    return made


def owner_of(choice: Choice) -> str:
    """The component's name and plugin for error messages: ``trick 'clamp' (plugin stability, ganlab 0.1.0)``."""
    named = f" named '{choice.name}'" if choice.kind in ("trick", "metric") and choice.name != choice.use else ""
    return f"{choice.kind} '{choice.use}'{named} (plugin {choice.entry.plugin}, {choice.entry.origin})"


def make_data(recipe: Recipe, root: Path, download: bool = True) -> Dataset:
    """Create the recipe's data set.

    Args:
        root: folder of all data sets.
        download: whether missing files may be downloaded.

    Raises:
        DataUnavailable: its files are missing and cannot be downloaded.
        RecipeError: it lacks a required attribute or has no samples.
        UsageError: it has fewer samples than a batch.
    """
    dataset: Dataset = make(recipe.data, DatasetSpec(root, derive(recipe.train.seed, "data"), download))
    needed = ("__len__", "place", "fetch", "prefetch", "picture", "fingerprint", "shape", "range", "class_names")
    check_parts(recipe.data, dataset, needed, "data set", "`ganlab.ResidentDataset(tensor)` makes a data set from a tensor of samples")
    if not len(dataset):
        raise RecipeError([f"{recipe.data.where}: {owner_of(recipe.data)} has no samples"])
    train = recipe.train
    key = "batch_size" if train.discriminator_batch_size is None else "discriminator_batch_size"
    batch, largest = train.batch_of("discriminator"), len(dataset) - (recipe.schedule.real_batches == "contiguous")
    if batch > largest:
        comparison = "more than" if batch > len(dataset) else "as many as"
        raise UsageError(
            f"train.{key} = {batch} is {comparison} dataset '{recipe.data.use}' has: {len(dataset)} samples",
            f"use a {key} of at most {largest}",
        )
    return dataset


def check_parts(choice: Choice, made: object, needed: Sequence[str], kind: str, hint: str) -> None:
    """Check that the component ``made``, which is meant to be a ``kind``, has all attributes ``needed``.

    Raises:
        RecipeError: an attribute is missing.
        PluginError: a property raised an error.
    """
    with blamed(owner_of(choice)):
        for name in needed:
            if inspect.getattr_static(made, name, None) is None and not hasattr(made, name):
                text = f"{owner_of(choice)} made a value of type {type(made).__name__}, which is not a valid {kind}: it has no {name}"
                raise RecipeError([f"{choice.where}: {text}"], hint)
            getattr(made, name)  # a property may raise: that is the plugin's error, even if it is an AttributeError


def make_noise(choice: Choice) -> Noise:
    """Create a noise, from which latents are drawn."""
    noise: Noise = make(choice)
    check_parts(
        choice, noise, ("shape", "sample"), "noise", "a noise has an attribute shape and a method sample(count, generator, device, dtype)"
    )
    return noise


def make_loss(choice: Choice, role: Role) -> PlayerLoss:
    """Create one player's loss."""
    loss = PlayerLoss(make(choice), owner_of(choice))
    needed = ["generator"] if role == "generator" else ["discriminator"] if loss.pairs else ["real", "fake"]
    hint = "a loss has methods real(turn), fake(turn) and generator(turn); with pairs = True, discriminator(turn) in place of the first two"
    check_parts(choice, loss.instance, needed, f"loss of the {role}", hint)
    return loss


def sampling_law(recipe: Recipe, noise: Noise) -> Noise:
    """The noise for samples and sample sheets: that of ``[sampling_noise]`` if the recipe has it, else ``noise``, that of the training.

    Raises:
        RecipeError: its latents have another shape than those of ``noise``.
    """
    if recipe.sampling_noise is None:
        return noise
    law = make_noise(recipe.sampling_noise)
    if tuple(law.shape) != tuple(noise.shape):
        raise RecipeError(
            [f"{recipe.sampling_noise.where}: [sampling_noise] has latents of shape {tuple(law.shape)}, and [noise] {tuple(noise.shape)}"],
            "use the same dimension for both",
        )
    return law
