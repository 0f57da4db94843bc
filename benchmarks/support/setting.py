"""What is measured: a recipe, resolved once by ganlab itself and handed to every contestant, so that all do the same mathematics."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]  # benchmarks/


class CannotSettle(Exception):
    """This ganlab cannot run the recipe so; its own message."""


@dataclass(frozen=True)
class Setting:
    """One recipe under one number of threads, as every contestant's process is told it.

    Attributes:
        recipe: its name or file. overrides: what ``--set`` says, to all contestants.
        document: the resolved recipe. shape: of one sample. samples: how many there are.
        data_root: the folder of the data sets.
        checkpoint_every, sample_every: the intervals of the recipe's full budget, kept though fewer steps are measured.
        steps, threads, seed: of one measurement.
        warm_up: how many of the steps come first and are not timed: there a GPU's libraries load, and code is made for it.
        generator_rate: turns of the generator in a step, for those who only count them.
        losses: whether to keep the losses of every step, rather than look at them as often as the tutorial does.
        device: where all train, as torch names it.
    """

    recipe: str
    overrides: tuple[str, ...]
    document: dict[str, Any]
    shape: tuple[int, ...]
    samples: int
    data_root: str
    checkpoint_every: int
    sample_every: int
    steps: int = 1
    threads: int = 1
    seed: int = 0
    generator_rate: float = 1.0
    losses: bool = False
    device: str = "cpu"
    warm_up: int = 0

    @property
    def on_gpu(self) -> bool:
        """Whether that is one of CUDA's."""
        return self.device.startswith("cuda")

    def with_(self, **changes: Any) -> Setting:
        """The same with these attributes."""
        return replace(self, **changes)

    def save(self, path: Path) -> Path:
        """Write it where a child process reads it."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Setting:
        """What :meth:`save` wrote."""
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(**_tuples(found))


def _tuples(found: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def laid(overrides: Sequence[str]) -> tuple[str, ...]:
    """The last of what is said about each key: ganlab takes none twice."""
    return tuple({word.partition("=")[0]: word for word in overrides}.values())


def settle(recipe: str, overrides: Sequence[str] = (), data_root: str | Path | None = None) -> Setting:
    """Have ganlab resolve a recipe, in a process of its own.

    Raises:
        CannotSettle: it refuses to; the message is ganlab's.
    """
    overrides = laid(overrides)
    command = [sys.executable, str(HERE / "support" / "settle.py"), recipe, str(data_root or ""), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    if done.returncode:
        raise CannotSettle((done.stdout.strip() or done.stderr.strip().splitlines()[-1])[:500])
    return Setting(recipe, overrides, **_tuples(json.loads(done.stdout)))
