"""How long something has been seen without a break, and whether it has been told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

LEAST = 5  # looks in a row: where intervals are long, one of them alone says little


@dataclass
class Streak:
    """What is seen look after look.

    Attributes:
        since: the first step of the present streak; 0 when there is none.
        looks: how many looks the present streak has.
        told: the person has been told, and it has not gone away since.
        gone: after that, the first step from which on it has not been seen; 0 when it is seen.
    """

    since: int = 0
    looks: int = 0
    told: bool = False
    gone: int = 0

    def look(self, seen: bool, begin: int, step: int, patience: float, least: int = LEAST) -> bool:
        """Whether it is time to tell: it was seen in ``least`` looks in a row, over ``patience`` steps, and is not told yet.

        It counts as gone, and may be told again, when it has not been seen over ``patience`` steps.

        Args:
            seen: whether it was seen in the steps from ``begin`` to ``step``.
        """
        if not seen:
            self.since = self.looks = 0
            self.gone = self.gone or begin
            if step - self.gone + 1 >= patience:
                self.told = False
            return False
        self.since, self.gone = self.since or begin, 0
        self.looks += 1
        if self.told or self.looks < least or step - self.since + 1 < patience:
            return False
        self.told = True
        return True

    def state(self) -> dict[str, Any]:
        """As a checkpoint can hold it."""
        return asdict(self)
