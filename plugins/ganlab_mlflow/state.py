"""What the mirror has delivered: ``mlflow.json`` in the run's folder, where a resumed run continues."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

FILE = "mlflow.json"

# The files that the mirror follows in the run's folder: those of metrics, and this plugin's list of pictures and checkpoints.
METRICS = ("metrics.jsonl", "system.jsonl")
ARTIFACTS = "artifacts.jsonl"
LARGEST = 1_000_000  # bytes of the file: it has a few hundred


@dataclass
class Position:
    """How far a file of lines has been delivered.

    Attributes:
        last: offset of the last delivered line, in bytes.
        next: offset of the next line.
        digest: of the last delivered line. It shows whether the file still has this line.
    """

    last: int = 0
    next: int = 0
    digest: str = ""


@dataclass
class State:
    """What the mirror remembers, and what it reports to the training process.

    Attributes:
        uri: of the tracker, without passwords.
        experiment, experiment_id, run_id: the run in MLflow; empty before it is created.
        begun: parameters, tags and data set have been sent.
        positions: how far each file has been delivered.
        doubtful: files with lines that MLflow may have although their position does not say so. They were being sent when the mirror was
            killed, or when an answer was lost.
        problem: why nothing can be delivered now, for an announcement; empty if there is no problem.
        complete: everything has been delivered, with the final status.
        model_missing: everything but the logged model has been delivered.
        completed_by: the id of the process that set ``complete``: a killed run's mirror may still be running when the run is resumed.
    """

    uri: str = ""
    experiment: str = ""
    experiment_id: str = ""
    run_id: str = ""
    begun: bool = False
    positions: dict[str, Position] = field(default_factory=dict)
    doubtful: list[str] = field(default_factory=list)
    problem: str = ""
    complete: bool = False
    completed_by: int = 0
    model_missing: bool = False

    @classmethod
    def load(cls, run: Path) -> State:
        """The state in a run's folder; a new one if there is none, or if it is damaged.

        The run is then searched in MLflow, and what is there already is not sent again.
        """
        path = run / FILE
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
                return cls()
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            positions = {name: _position(position) for name, position in content.pop("positions", {}).items()}
            state = cls(**content, positions=positions)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()
        sound = all(type(getattr(state, each.name)) is type(getattr(cls(), each.name)) for each in fields(cls))
        return state if sound and abs(state.completed_by) < 2**63 else cls()

    def save(self, run: Path) -> None:
        """Write the state atomically."""
        temporary = run / f".{FILE}.part"
        temporary.unlink(missing_ok=True)  # it may be a link in a stranger's folder
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        temporary.replace(run / FILE)

    def summary(self) -> dict[str, Any]:
        """The part of the state that is copied to ``run.json``."""
        return {key: getattr(self, key) for key in ("uri", "experiment", "experiment_id", "run_id", "complete")}


def _position(content: dict[str, Any]) -> Position:
    """A position from the file. One of version 0.1 has no digest, so no line fits it, and the file is read from its start.

    Raises:
        TypeError, KeyError, ValueError: it is damaged.
    """
    position = Position(content["last"], content["next"], content.get("digest", ""))
    if (type(position.last), type(position.next), type(position.digest)) != (int, int, str):
        raise TypeError(f"{content} is not a position")
    if not 0 <= position.last <= position.next < 2**63:
        raise ValueError(f"{content} is not a position")
    return position
