"""What a loaded recipe is, and what it needs of a catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.registry.entry import Entry, Kind, PluginFile

if TYPE_CHECKING:
    from ganlab.recipe.tables import Evaluation, Schedule, Train


#: Where each kind is picked in a recipe; the order is that of a catalogue.
TABLES_OF: dict[Kind, str] = {
    "dataset": "[data]",
    "noise": "[noise] and [sampling_noise]",
    "network": "[generator] and [discriminator]",
    "optimizer": "[generator.optimizer] and [discriminator.optimizer]",
    "loss": "[loss]",
    "metric": "[[metrics]]",
    "judge": "[judge]",
    "trick": "[[tricks]]",
}


@dataclass(frozen=True)
class Choice:
    """A component or trick that a recipe picks, with its options.

    Attributes:
        kind: what it is.
        name: the trick's name in the recipe; for a component its table (``"generator.optimizer"``), for the tracker ``"tracking"``.
        use: the name it is registered under.
        entry: what the catalogue knows of it; ``entry.factory`` makes it.
        options: keyword arguments for the factory, checked and complete.
        where: ``file:line`` of its table, or ``--set a.b=c``.
    """

    kind: Kind
    name: str
    use: str
    entry: Entry
    options: dict[str, Any]
    where: str


@dataclass(frozen=True)
class PlayerChoice:
    """A player: its network and the optimizer of that network."""

    network: Choice
    optimizer: Choice


@dataclass(frozen=True)
class Recipe:
    """An experiment, checked and complete.

    Attributes:
        name: the recipe's ``name``, or its file's as far as it has letters, digits, _ and -.
        path: the file it was read from.
        description: one line.
        plugins: the files it brings as plugins; they have been loaded into the catalogue.
        losses: by role, ``"generator"`` and ``"discriminator"``; one choice for both where there is one ``[loss]``.
        tricks: the enabled ones in call order; the tracker is the last.
        evaluation: when the samples are measured, and how many.
        metrics: the enabled ones, in order. judge: what sees images for them; None where the recipe has none, or it is switched off.
        document: the resolved recipe as plain tables: every option stands in it, also disabled tricks, metrics and judges do.
        has_fallback: whether it says what to do where its data cannot be had; ``load_recipe(..., fallback=True)`` does that.
        sampling_noise: a law of its own for sheets and the saved generator; None: that of the training.
    """

    name: str
    path: Path
    description: str
    plugins: list[PluginFile]
    data: Choice
    noise: Choice
    generator: PlayerChoice
    discriminator: PlayerChoice
    losses: dict[str, Choice]
    schedule: Schedule
    tricks: list[Choice]
    train: Train
    document: dict[str, Any]
    has_fallback: bool
    evaluation: Evaluation
    metrics: list[Choice]
    judge: Choice | None = None
    sampling_noise: Choice | None = None

    @property
    def sampling_law(self) -> Choice:
        """The law of the latents that samples are made of."""
        return self.sampling_noise or self.noise
