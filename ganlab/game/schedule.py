"""The turns of a step, their order and their sides, from the recipe's ``[schedule]``."""

from __future__ import annotations

from ganlab.game.turn import Group, Part, Side
from ganlab.recipe import Schedule


def groups_of(schedule: Schedule) -> list[Group]:
    """The groups of one step.

    >>> [[f"{part.player}({'+'.join(part.sides)})" for part in group] for group in groups_of(Schedule())]
    [['discriminator(real+fake)'], ['generator(fake)']]
    """
    first: Side
    second: Side
    first, second = ("real", "fake") if schedule.first_side == "real" else ("fake", "real")
    generator = Part("generator", ("fake",))
    if schedule.order == "simultaneous":
        return [[Part("discriminator", (first, second)), generator]]
    if schedule.discriminator_turn == "two_updates":
        discriminator: list[Group] = [[Part("discriminator", (first,))], [Part("discriminator", (second,))]]
    else:
        discriminator = [[Part("discriminator", (first, second))]]
    discriminators = discriminator * schedule.discriminator_steps
    generators: list[Group] = [[generator]] * schedule.generator_steps
    return generators + discriminators if schedule.order == "generator_first" else discriminators + generators


def batches_per_step(schedule: Schedule) -> int:
    """The number of real batches that one step draws."""
    return schedule.discriminator_steps
