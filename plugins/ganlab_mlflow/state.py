"""What the mirror has delivered: ``mlflow.json`` in the run's folder, so that a resumed run goes on where it left off."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = "mlflow.json"

# What the mirror follows in the run's folder: the engine's own files of metrics, and this plugin's list of pictures and checkpoints.
METRICS = ("metrics.jsonl", "system.jsonl")
ARTIFACTS = "artifacts.jsonl"


@dataclass
class Position:
    """How far a file of lines has been delivered.

    Attributes:
        last: where the last delivered line begins, in bytes.
        next: where the next one does.
        time: of the last delivered line, in seconds since 1970. Tells whether the file is still the one that was read.
    """

    last: int = 0
    next: int = 0
    time: float = 0.0


@dataclass
class State:
    """The mirror's memory, and all that it tells the training process.

    Attributes:
        uri: of the tracker, without passwords.
        experiment, experiment_id, run_id: where the run is in MLflow; empty before it is there.
        begun: parameters, tags and data set have been sent.
        positions: how far each file has been delivered.
        problem: why nothing can be delivered now, in words for a person; empty when all is well.
        complete: everything has been delivered, with the final status.
        model_missing: what is complete lacks the logged model.
        completed_by: the number of the process that has done so: a killed run's mirror may still be at it when the run is resumed.
    """

    uri: str = ""
    experiment: str = ""
    experiment_id: str = ""
    run_id: str = ""
    begun: bool = False
    positions: dict[str, Position] = field(default_factory=dict)
    problem: str = ""
    complete: bool = False
    completed_by: int = 0
    model_missing: bool = False

    @classmethod
    def load(cls, run: Path) -> State:
        """The state in a run's folder; a new one when there is none, or none that can be read."""
        try:
            read: dict[str, Any] = json.loads((run / FILE).read_text(encoding="utf-8"))
            read["positions"] = {name: Position(**position) for name, position in read.get("positions", {}).items()}
            return cls(**read)
        except (OSError, ValueError, TypeError, AttributeError):
            return cls()  # MLflow is asked for the run instead, and what is sent twice counts once

    def save(self, run: Path) -> None:
        """Write the state, whole or not at all."""
        aside = run / f".{FILE}.part"
        aside.unlink(missing_ok=True)  # it may be a link that a stranger has put there
        aside.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        aside.replace(run / FILE)

    def summary(self) -> dict[str, Any]:
        """What ``run.json`` says of the tracker."""
        return {key: getattr(self, key) for key in ("uri", "experiment", "experiment_id", "run_id", "complete")}
