"""The inputs of a generator when a user samples it: latents (drawn, truncated or interpolated) and the class."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import UsageError, did_you_mean
from ganlab.game.blame import blamed

MAX_SAMPLES = 10**9  # in one call: torch computes sizes in 64 bits, and no machine has memory for so many
MAX_SEED = 2**63 - 1


def draw(noise: Any, use: str, count: int, seed: int, like: Tensor, truncation: float | None = None) -> Tensor:
    """Draw latents with ``seed``.

    Args:
        noise, use: the noise law, and its name in the recipe.
        count: number of latents.
        like: the latents get the dtype and device of this tensor.
        truncation: threshold for laws that can be truncated; None: no truncation.

    Returns:
        ``(count, *noise shape)``.

    Raises:
        UsageError: ``count``, ``seed`` or ``truncation`` is invalid, or the law has no method ``truncated``.
    """
    count, seed = checked_integer("count", count, 1, MAX_SAMPLES), checked_integer("seed", seed, 0, MAX_SEED)
    if truncation is not None and not hasattr(noise, "truncated"):
        raise UsageError(f"noise '{use}' does not support truncation", "sample without truncation")
    if truncation is not None and not (isinstance(truncation, Real) and truncation > 0):
        raise UsageError(f"truncation = {truncation!r} is not a number above 0", "give a threshold above 0: 2 is mild, 0.5 is strong")
    generator = torch.Generator(like.device).manual_seed(seed)
    with blamed(f"noise '{use}'"):
        if truncation is None:
            latent: Tensor = noise.sample(count, generator, like.device, like.dtype)
        else:  # as a Python float: a NumPy float32 would make the law compute in float32
            latent = noise.truncated(count, float(truncation), generator, like.device, like.dtype)
    return latent


def checked_integer(name: str, value: int, minimum: int, maximum: int) -> int:
    """``value``, if it is an integer from ``minimum`` to ``maximum``.

    Raises:
        UsageError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not minimum <= value <= maximum:
        raise UsageError(f"{name} = {value!r} is not valid", f"give a whole number from {minimum} to {maximum}")
    return int(value)


def way_of(noise: Any) -> str:
    """The name of the interpolation that :func:`rows_between` uses: ``"linear"``, or what the noise law's ``way`` says."""
    return str(getattr(noise, "way", "linear")) if hasattr(noise, "between") else "linear"


def rows_between(noise: Any, ends: Tensor, columns: int) -> Tensor:
    """Rows of latents, each interpolated between two of ``ends``.

    Args:
        noise: the noise law. Its method ``between`` interpolates; without one, the interpolation is linear.
        ends: ``(2 * rows, *noise shape)``: the first latent of each row, then the last latent of each row.
        columns: latents in a row, both ends included.

    Returns:
        ``(rows * columns, *noise shape)``, row by row.
    """
    rows = len(ends) // 2
    start, end = (part.repeat_interleave(columns, dim=0) for part in (ends[:rows], ends[rows:]))  # (rows * columns, *noise shape)
    share = torch.linspace(0, 1, columns, dtype=ends.dtype, device=ends.device).repeat(rows)  # (rows * columns,)
    if hasattr(noise, "between"):
        with blamed(f"noise {type(noise).__name__}, in between(),"):
            latent: Tensor = noise.between(start, end, share)
            return latent
    return torch.lerp(start, end, share.view(-1, *[1] * (ends.dim() - 1)))


def class_number(label: int | str, classes: int, names: list[str]) -> int:
    """The number of the class ``label``, out of ``classes``. A name takes precedence over a number; ``names`` may be empty.

    Raises:
        UsageError: there is no such class.
    """
    if str(label) in names:
        return names.index(str(label))
    try:
        number = int(label)
    except ValueError:
        raise UsageError(f"there is no class '{label}'", did_you_mean(str(label), names or map(str, range(classes)))) from None
    if not 0 <= number < classes:
        raise UsageError(f"there is no class {number}", f"the generator has {classes} classes: 0 to {classes - 1}")
    return number
