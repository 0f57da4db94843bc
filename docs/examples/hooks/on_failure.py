"""Where a neighbour takes all of a shared GPU's memory for a moment: wait, go back to the last checkpoint, and go on."""

import time
from dataclasses import dataclass

import torch

import ganlab


@dataclass
class WaitForMemory:
    """At most ten times in a run; anything else that fails is not answered, and ends it."""

    seconds: float = 60.0
    times = 0

    @ganlab.hookimpl
    def on_failure(self, run, error):
        if isinstance(error, torch.OutOfMemoryError) and run.checkpoints() and self.times < 10:
            self.times += 1
            time.sleep(self.seconds)
            run.restore(run.checkpoints()[-1])
            return True
