"""Combinations of options of ``[schedule]`` and ``[train]`` that are not possible, though each option is valid by itself."""

from __future__ import annotations

from collections.abc import Iterator

from ganlab.recipe.places import Way
from ganlab.recipe.tables import Schedule, Train


def impossible_combinations(schedule: Schedule | None, train: Train | None) -> Iterator[tuple[Way, str]]:
    """Every impossible combination: the path of the value that should change, and a sentence."""
    if schedule is not None:
        yield from _schedule(schedule)
    if train is not None:
        yield from _train(train)
    if schedule is not None and train is not None and schedule.noise == "per_step":
        generator_size, discriminator_size = train.batch_of("generator"), train.batch_of("discriminator")
        if generator_size != discriminator_size:
            yield (
                ("train", "discriminator_batch_size"),
                f"train.discriminator_batch_size = {discriminator_size} cannot go with schedule.noise = 'per_step': "
                f"both players use the same latents, and the generator has {generator_size}; use noise = 'fresh', or batches of one size",
            )


def _schedule(schedule: Schedule) -> Iterator[tuple[Way, str]]:
    if schedule.discriminator_turn == "two_updates":
        if schedule.discriminator_loss == "mean":
            yield (
                ("schedule", "discriminator_loss"),
                "schedule.discriminator_loss = 'mean' cannot go with discriminator_turn = 'two_updates': "
                "each update has one side's loss alone; use 'sum', or one of the other turns",
            )
        if schedule.order == "simultaneous":
            yield (
                ("schedule", "discriminator_turn"),
                "schedule.discriminator_turn = 'two_updates' cannot go with order = 'simultaneous': "
                "the second update would see the first; use 'two_passes' or 'one_pass'",
            )
    if schedule.order == "simultaneous":
        for key, steps in (("discriminator_steps", schedule.discriminator_steps), ("generator_steps", schedule.generator_steps)):
            if steps != 1:
                yield (
                    ("schedule", key),
                    f"schedule.{key} = {steps} cannot go with order = 'simultaneous', where each player plays once a step; "
                    "use 1, or another order",
                )


def _train(train: Train) -> Iterator[tuple[Way, str]]:
    if train.steps is None and train.epochs is None:
        yield ("train",), "train does not say how long: add `epochs = ...`, or `steps = ...`"
    if train.dtype == "float64" and train.autocast != "off":
        yield (
            ("train", "autocast"),
            f"train.autocast = '{train.autocast}' cannot go with dtype = 'float64': one asks for less precision, the other for more",
        )
    if train.compile and train.cuda_graphs:
        yield (
            ("train", "cuda_graphs"),
            "train.cuda_graphs = true cannot go with compile = true: both make the networks' passes faster, each in its own way; use one",
        )
    if train.dtype == "float64" and train.device == "mps":
        yield ("train", "dtype"), "train.dtype = 'float64' cannot go with device = 'mps', which does not support it; use 'float32'"
