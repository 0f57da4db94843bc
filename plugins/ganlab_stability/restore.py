"""Going back to a checkpoint when the data could not be read: for data on a network's file system."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ganlab.errors import PluginError
from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab import Run


@dataclass
class RestoreOnReadError:
    """When the data cannot be read (an OSError: a server that is away for a while), wait, go back to the last checkpoint and go on.

    The run ends as if nothing had happened, bit for bit, for what is played again is the same. Where there is no checkpoint yet, the
    run fails as it would without this trick.

    Options:
        times: how often in a row, before the run ends as failed after all; a checkpoint that is newer begins a new row.
        wait_seconds: before each return.
    """

    times: Annotated[int, Field(ge=1)] = 5
    wait_seconds: Annotated[float, Field(ge=0)] = 10.0

    row: tuple[str, int] = field(default=("", 0), init=False)  # the checkpoint gone back to, and how often

    @hookimpl
    def on_failure(self, run: Run, error: Exception) -> bool | None:
        checkpoints = run.checkpoints()
        by_data = isinstance(error, PluginError) and not error.trick and isinstance(error.__cause__, OSError)
        if not by_data or not checkpoints:
            return None
        last = checkpoints[-1]
        times = self.row[1] + 1 if self.row[0] == last.name else 1
        if times > self.times:
            return None
        self.row = (last.name, times)
        time.sleep(self.wait_seconds)
        run.restore(last)
        run.announce(f"{error.args[0]}. The run went back to step {run.step} and goes on ({times} of at most {self.times} times in a row).")
        return True
