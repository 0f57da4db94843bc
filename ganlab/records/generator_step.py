"""Which step a run's ``generator.safetensors`` is from, if the run has been resumed since it was written. Imports no torch.

A resumed run leaves the file as it is until the run ends again.
"""

from __future__ import annotations

from ganlab.records.request import RunRequest
from ganlab.records.results import RunResult
from ganlab.records.summaries import RunSummary


def later_step(run: RunSummary, step: int) -> int | None:
    """The run's current step if it is after ``step``, which a file in its folder is from; else None."""
    current = RunResult(run).step
    return current if current > step else None


def describe_outdated_generator(run: RunSummary, step: int) -> str:
    """A clause that says that the run's generator, from ``step``, is older than the run; empty if it is not."""
    current = later_step(run, step)
    if current is None:
        return ""
    return f"run {run.id} has been resumed and is now at step {current:,}, but its generator.safetensors is still from step {step:,}"


def last_checkpoint_command(run: RunSummary, request: RunRequest) -> str:
    """The command that uses the generator of the run's last checkpoint; empty if the run has no checkpoint."""
    return f"{request.command_line(run.folder.path)[:-1]} --checkpoint last`" if run.folder.checkpoint_files() else ""
