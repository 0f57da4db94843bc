"""Latents that a person asks for: drawn with a seed, truncated, on the way from one to another; and the labels beside them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ganlab.errors import UsageError, did_you_mean
from ganlab.game.blame import blamed

if TYPE_CHECKING:
    from ganlab.generators.loaded import LoadedGenerator


MOST = 10**9  # samples at once: torch reckons memory in 64 bits, and no machine has so much


def draw(generator: LoadedGenerator, count: int, seed: int, truncation: float | None = None) -> Tensor:
    """``count`` latents of the generator's law, drawn with ``seed``: ``(count, *noise shape)``.

    Raises:
        UsageError: ``count`` or ``seed`` is no number that can be; or ``truncation`` is asked for, and the law has no method ``truncated``.
    """
    count, seed = whole(count, seed)
    if truncation is not None and (isinstance(truncation, bool) or not isinstance(truncation, Real)):
        raise UsageError(f"truncation = {truncation!r} is no number", "give a threshold above 0: 2 is mild, 0.5 is strong")
    law, use = generator.noise, generator.info["law"]["use"]
    some = next(generator.network.parameters())
    source = torch.Generator(some.device).manual_seed(seed)
    if truncation is None:
        with blamed(f"noise '{use}'"):
            latent: Tensor = law.sample(count, source, some.device, some.dtype)
            return latent
    if not hasattr(law, "truncated"):
        raise UsageError(f"noise '{use}' cannot be truncated: it has no threshold to draw again beyond", "sample without a truncation")
    truncation = float(truncation)  # NumPy's float32 would reckon in its own width
    if not truncation > 0:
        raise UsageError(f"a truncation of {truncation:g} leaves no latent", "give a threshold above 0: 2 is mild, 0.5 is strong")
    with blamed(f"noise '{use}'"):
        latent = law.truncated(count, truncation, source, some.device, some.dtype)
    return latent


def whole(count: int, seed: int) -> tuple[int, int]:
    """Both, if they are a number of samples and a seed.

    Raises:
        UsageError: one of them is not.
    """
    return checked("count", count, 1, MOST), checked("seed", seed, 0, 2**63 - 1)


def checked(name: str, value: int, least: int, most: int) -> int:
    """``value``, if it is a whole number from ``least`` to ``most``.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= value <= most:
        raise UsageError(f"{name} = {value!r} is not what it must be", f"give a whole number from {least} to {most}")
    return int(value)


def way_of(law: Any) -> str:
    """How :func:`rows_between` goes from one latent to another, in a word."""
    return str(getattr(law, "way", "linear")) if hasattr(law, "between") else "linear"


def rows_between(law: Any, ends: Tensor, columns: int) -> Tensor:
    """Rows of latents, each from one of ``ends`` to another.

    Args:
        law: of the noise; its method ``between`` says how, where it has one, else the way is a straight line.
        ends: ``(2 * rows, *noise shape)``: the starts, then the ends.
        columns: latents in a row, both ends included.

    Returns:
        ``(rows * columns, *noise shape)``, row by row.
    """
    rows = len(ends) // 2
    start, end = (part.repeat_interleave(columns, dim=0) for part in (ends[:rows], ends[rows:]))  # (rows * columns, *noise shape)
    share = torch.linspace(0, 1, columns, dtype=ends.dtype, device=ends.device).repeat(rows)  # (rows * columns,)
    if hasattr(law, "between"):
        with blamed(f"noise {type(law).__name__}, in between(),"):
            latent: Tensor = law.between(start, end, share)
            return latent
    return torch.lerp(start, end, share.view(-1, *[1] * (ends.dim() - 1)))


def labels_of(generator: LoadedGenerator, count: int, label: int | str | None) -> Tensor | None:
    """Labels for ``count`` samples, ``(count,)``: all ``label``, or all classes in turn; None where the generator takes none.

    Raises:
        UsageError: ``label`` is asked for and there is no such class, or the generator takes no labels.
    """
    classes = int(generator.info["spec"]["classes"]) if generator.takes_labels else 0
    device = next(generator.network.parameters()).device
    if label is None:
        return torch.arange(count, device=device) % classes if classes else None
    if not classes:
        raise UsageError(
            f"the generator, network '{generator.info['use']}', takes no labels: which class a sample is of cannot be chosen",
            "sample without a class",
        )
    return torch.full((count,), _number_of(label, classes, [str(name) for name in generator.info["class_names"]]), device=device)


def _number_of(label: int | str, classes: int, names: list[str]) -> int:
    """The number of the class called ``label``: a name comes before a number."""
    if str(label) in names:
        return names.index(str(label))
    try:
        number = int(label)
    except ValueError:
        raise UsageError(f"there is no class '{label}'", did_you_mean(str(label), names or map(str, range(classes)))) from None
    if not 0 <= number < classes:
        raise UsageError(f"there is no class {number}", f"the generator knows {classes}: 0 to {classes - 1}")
    return number
