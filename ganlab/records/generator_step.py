"""What was made of a run where it had ended once, and the run that has gone on since then: which step is it of?

A run that goes on leaves ``generator.safetensors`` as it is until it ends again. Imports no torch.
"""

from __future__ import annotations

from ganlab.records.request import RunRequest
from ganlab.records.results import RunResult
from ganlab.records.summaries import RunSummary


def gone_on(run: RunSummary, step: int) -> int | None:
    """The step that the run is at, where that is beyond ``step``, which something in its folder is of; else None."""
    now = RunResult(run).steps[0]
    return now if now > step else None


def of_before(run: RunSummary, step: int) -> str:
    """In a sentence that the run's generator, which is of ``step``, is not where the run is; empty where it is."""
    now = gone_on(run, step)
    if now is None:
        return ""
    return f"run {run.id} has gone on to step {now:,}, and its generator.safetensors is of step {step:,}, where it had ended before"


def how_to_take_the_last(run: RunSummary, request: RunRequest) -> str:
    """What to type for the generator of the run's last checkpoint; empty where it has none."""
    return f"{request.command_line(run.folder.path)[:-1]} --checkpoint last`" if run.folder.checkpoint_files() else ""
