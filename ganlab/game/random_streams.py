"""Randomness: every consumer has a named stream of its own, and no stream has a state that must be saved.

A number is derived from the run's seed and a name, and from it and the moment (step, turn) the seed of one draw. So the noise of
step 900 is the same whether the run got there in one go or was resumed, and adding a trick moves no other stream.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch

MASK = (1 << 64) - 1
TURNS = 1 << 20  # moments in a step: more than MOST_REPEATS for each player


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called ``names``: unrelated for unequal names or seeds.

    >>> derive(0, "noise") != derive(0, "data") != derive(1, "data")
    True
    """
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def mix(base: int, moment: int) -> int:
    """A 63-bit seed from a stream's number and a moment; the finalizer of SplitMix64 (Steele, Lea, Flood 2014), 0.3 µs."""
    z = (base + moment * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return (z ^ (z >> 31)) >> 1


class Streams:
    """The random streams of one run, on its device. ``moment`` is the now that draws are derived from; the loop moves it on."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed, self.device = seed, device
        self.moment = 0
        self._bases: dict[str, int] = {}
        self._generator = torch.Generator(device)

    @property
    def step(self) -> int:
        """The step that the moment is in; 0 before the first."""
        return self.moment // TURNS

    def base(self, name: str) -> int:
        """The number of the stream called ``name``."""
        if name not in self._bases:
            self._bases[name] = derive(self.seed, name)
        return self._bases[name]

    def generator(self, name: str, moment: int | None = None) -> torch.Generator:
        """A generator on the run's device for one draw of stream ``name``, now or at ``moment``. Use it at once: it is shared."""
        return self._generator.manual_seed(mix(self.base(name), self.moment if moment is None else moment))

    def reseed(self, base: int) -> None:
        """Seed torch's default generators, which ``nn.Dropout`` and ``torch.randn`` draw from, for the stream with this number."""
        seed_default_generators(mix(base, self.moment), self.device)


def seed_default_generators(value: int, device: torch.device) -> None:
    """Seed torch's default generator of the CPU, and of ``device``. Unlike ``torch.manual_seed`` it touches no other device."""
    torch.default_generator.manual_seed(value)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(value)
    elif device.type == "mps":
        torch.mps.manual_seed(value & 0xFFFFFFFF)


@contextlib.contextmanager
def default_generators_restored(device: torch.device) -> Iterator[None]:
    """Leave torch's default generators as they were found, so that a run inside a script disturbs nothing around it."""
    mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []):
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)
