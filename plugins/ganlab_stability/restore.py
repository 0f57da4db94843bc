"""Going back to a checkpoint when numbers are no longer finite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ganlab.errors import NonFiniteError
from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab.engine.run import Run


@dataclass
class RestoreOnNonFinite:
    """When a loss, a score or a weight is no longer finite, go back to the last checkpoint and on from there with smaller steps.

    Options:
        learning_rate_factor: both players' learning rates are multiplied by it each time.
        times: how often, before the run ends as failed after all.
    """

    learning_rate_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    times: Annotated[int, Field(ge=1)] = 3

    restored: int = field(default=0, init=False)

    @hookimpl
    def on_failure(self, run: Run, error: Exception) -> bool | None:
        checkpoints = run.checkpoints()
        if not isinstance(error, NonFiniteError) or self.restored >= self.times or not checkpoints:
            return None
        restored = self.restored + 1
        run.restore(checkpoints[-1])  # its learning rates are those of its moment, and so is its count of restorations
        times = restored - self.restored
        self.restored = restored
        for player in run.players.values():
            for group in player.optimizer.param_groups:
                group["lr"] *= self.learning_rate_factor**times
        run.announce(
            f"{error.message}. The run went back to step {run.step} and goes on with learning rates multiplied by "
            f"{self.learning_rate_factor} (restoration {restored} of {self.times})."
        )
        return True

    def state_dict(self) -> dict[str, Any]:
        """How often the run has been restored."""
        return {"restored": self.restored}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.restored = state["restored"]
