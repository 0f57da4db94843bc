"""How long a sign has been present without a break, and whether the user has been warned."""

from __future__ import annotations

from dataclasses import dataclass

MIN_LOOKS = 5  # in a row: if intervals are long, one of them alone says little


@dataclass
class Streak:
    """A sign over consecutive looks.

    Attributes:
        since: the first step of the current streak; 0 if there is none.
        looks: number of looks in the current streak.
        told: the user has been warned, and the sign has not gone away since.
        gone: the first step since which the sign has been absent; 0 if it is present.
    """

    since: int = 0
    looks: int = 0
    told: bool = False
    gone: int = 0

    def look(self, present: bool, begin: int, step: int, patience: float, min_looks: int = MIN_LOOKS) -> bool:
        """Record a look.

        Args:
            present: whether the sign was present in the interval.
            begin, step: the first and the last step of the interval.
            patience: steps over which the sign must be present to cause a warning, and absent to count as gone. Once it is gone, it may
                cause another warning.
            min_looks: looks in a row in which the sign must be present to cause a warning.

        Returns:
            Whether to warn now.
        """
        if not present:
            self.since = self.looks = 0
            self.gone = self.gone or begin
            if step - self.gone + 1 >= patience:
                self.told = False
            return False
        self.since, self.gone = self.since or begin, 0
        self.looks += 1
        if self.told or self.looks < min_looks or step - self.since + 1 < patience:
            return False
        self.told = True
        return True
