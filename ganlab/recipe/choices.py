"""A loaded recipe as data classes: the components and tricks that it picks, with their options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.recipe.tables import Evaluation, Schedule, Train
from ganlab.registry.entry import Entry, Kind, PluginFile

TRACKING = "tracking"  # the table of the tracker, a trick that is not listed in [[tricks]]; also the name of that trick
#: The tables of a recipe that pick each kind, in the order in which a catalogue lists the kinds.
TABLES_OF: dict[Kind, tuple[str, ...]] = {
    "dataset": ("[data]",),
    "noise": ("[noise]", "[sampling_noise]"),
    "network": ("[generator]", "[discriminator]"),
    "optimizer": ("[generator.optimizer]", "[discriminator.optimizer]"),
    "loss": ("[loss]",),
    "metric": ("[[metrics]]",),
    "judge": ("[judge]",),
    "trick": ("[[tricks]]",),
}


@dataclass(frozen=True)
class Choice:
    """A component or trick that a recipe picks, with its options.

    Attributes:
        kind: what it is.
        name: the trick's name in the recipe; for a component its table (``"generator.optimizer"``), for the tracker TRACKING.
        use: the name it is registered under.
        entry: its entry in the catalogue; ``entry.factory`` makes it.
        options: keyword arguments for the factory, checked and complete.
        where: ``file:line`` of its table, or ``--set a.b=c``.
    """

    kind: Kind
    name: str
    use: str
    entry: Entry
    options: dict[str, Any]
    where: str

    @property
    def table(self) -> str:
        """Its table of the recipe, as ``--set`` names it: ``"generator.optimizer"``, ``"tricks.clamp"``, ``"tracking"``."""
        listed = self.kind in ("trick", "metric") and self.name != TRACKING
        return f"{self.kind}s.{self.name}" if listed else self.name


@dataclass(frozen=True)
class PlayerChoice:
    """A player: its network and the optimizer of that network."""

    network: Choice
    optimizer: Choice


@dataclass(frozen=True)
class Recipe:
    """An experiment, checked and complete.

    Attributes:
        name: the recipe's ``name``, or the letters, digits, _ and - of its file's name.
        path: the file it was read from.
        description: one line.
        plugins: its plugin files; they are loaded into the catalogue.
        losses: by role, ``"generator"`` and ``"discriminator"``; the same choice for both if there is one ``[loss]``.
        tricks: those that are enabled, in call order; the tracker is the last.
        evaluation: when samples are evaluated, and how many.
        metrics: those that are enabled, in order.
        judge: the network that looks at images for the metrics; None if the recipe has none, or it is switched off.
        document: the resolved recipe as plain tables, with every option, and with tricks, metrics and judges that are disabled.
        has_fallback: whether it has a ``[fallback]`` for data that is not available; ``load_recipe(..., fallback=True)`` applies it.
        sampling_noise: the latent distribution for sheets and the saved generator; None for that of the training.
        remedies: names of registered tricks that help against numbers that are not finite, whether or not the recipe uses them.
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
    remedies: tuple[str, ...] = ()

    @property
    def choices(self) -> list[Choice]:
        """All choices that are not switched off. One loss of both players is listed once."""
        losses = {id(choice): choice for choice in self.losses.values()}.values()
        players = [choice for player in (self.generator, self.discriminator) for choice in (player.network, player.optimizer)]
        listed = [self.data, self.noise, self.sampling_noise, *losses, *players, *self.metrics, self.judge, *self.tricks]
        return [choice for choice in listed if choice is not None]

    @property
    def sampling_law(self) -> Choice:
        """The latent distribution that samples are made from."""
        return self.sampling_noise or self.noise
