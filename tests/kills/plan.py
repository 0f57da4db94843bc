"""Which run is killed when: a plan drawn from a seed, so that a failure can be repeated; and how a plan is carried out."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import compare
import moments
from cases import CHECKPOINT_EVERY, STEPS, Case
from server import Ended, Server

CHECKPOINT = "step_*.safetensors"
WRITTEN = STEPS // CHECKPOINT_EVERY
WRITES_AT_THE_END = 3  # of run.json: when the training has ended, before after_run, and after it
#: The columns of the table.
KINDS = (
    "in a hook",
    "any time",
    "while a checkpoint is written",
    "half a checkpoint",
    "before its fsync",
    "before its rename",
    "after its rename",
    "while pruning",
    "half a line of metrics",
    "while run.json is written",
    "at the end",
    "while resuming",
)


def draw(kind: str, rng: random.Random, whole: float, again: bool = False) -> moments.Moment:
    """A moment of that kind, after the first checkpoint has been begun.

    Args:
        kind: one of ``KINDS``.
        rng: where it is drawn from.
        whole: seconds that the run takes when nobody kills it.
        again: it is of a run that has been killed before, and has less before it.
    """
    count = rng.randint(1, 2) if again else rng.randint(2, WRITTEN)
    if kind == "in a hook":
        return {"kind": "hook", "name": rng.choice(moments.hooks()), "step": rng.randint(CHECKPOINT_EVERY + 1, STEPS - 1)}
    if kind == "any time":
        return {"kind": "seconds", "after": 1, "seconds": rng.uniform(0.0, 0.3 * whole)}
    if kind == "while a checkpoint is written":
        return {"kind": "seconds", "after": count, "seconds": rng.uniform(0.0, 0.004)}
    if kind == "half a checkpoint":
        return {"kind": "file", "name": CHECKPOINT, "when": "half", "count": count}
    if kind == "before its fsync":
        return {"kind": "file", "name": f".{CHECKPOINT}.part", "when": "fsync", "count": count}
    if kind == "before its rename":
        return {"kind": "file", "name": CHECKPOINT, "when": "before", "count": count}
    if kind == "after its rename":
        return {"kind": "file", "name": CHECKPOINT, "when": "after", "count": count}
    if kind == "while pruning":
        return {"kind": "file", "name": CHECKPOINT, "when": rng.choice(["removing", "removed"]), "count": rng.randint(1, WRITTEN - 2)}
    if kind == "half a line of metrics":
        return {"kind": "line", "count": rng.randint(2, STEPS // 4)}
    if kind == "while run.json is written":
        return {"kind": "file", "name": "run.json", "when": rng.choice(["half", "before", "after"]), "count": rng.randint(4, WRITTEN + 2)}
    if kind == "at the end":
        name = rng.choice(["generator.safetensors", "evaluation.json", "losses.png", "run.json"])
        when = rng.choice(["before", "after"] if name == "losses.png" else ["half", "before", "after"])
        count = rng.randint(1, WRITES_AT_THE_END) if name == "run.json" else 1
        return rng.choice(
            [
                {"kind": "file", "name": name, "when": when, "count": count, "closing": True},
                {"kind": "hook", "name": rng.choice(["after_run", "deliver"]), "step": 0},
                {"kind": "seconds", "after": 1 if again else WRITTEN, "seconds": rng.uniform(0.0, 0.4 * whole)},
            ]
        )
    assert kind == "while resuming"
    return rng.choice(
        [
            {"kind": "file", "name": "metrics.jsonl", "when": rng.choice(["half", "before", "after"]), "count": 1},
            {"kind": "file", "name": "system.jsonl", "when": rng.choice(["before", "after"]), "count": 1},
            {"kind": "file", "name": "run.json", "when": rng.choice(["half", "before", "after"]), "count": 1},
            {"kind": "hook", "name": "may_play", "step": 0},
        ]
    )


@dataclass
class Outcome:
    """What came of a plan.

    Attributes:
        kills: SIGKILLs that found their process alive.
        resumes: of ``ganlab resume``, those after which the run ended as one that was never stopped.
        anew: a run that had no checkpoint yet, and was begun again as its error said.
        troubles: what is not as it must be.
    """

    case: str
    kinds: tuple[str, ...]
    kills: int = 0
    resumes: int = 0
    anew: int = 0
    troubles: list[str] = field(default_factory=list)


class Bench:
    """A folder in which runs are killed, and the runs that nobody stopped, to compare with."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.whole: dict[str, tuple[Path, float]] = {}
        self.number = 0

    def never(self, case: Case) -> tuple[Path, float]:
        """The run that is never stopped, and how many seconds it took; made once."""
        if case.name not in self.whole:
            place = self.folder / "never" / case.name.replace(" ", "_")
            case.prepare(place)
            ended = self.server.run(place, *case.words())
            assert ended.code == 0, ended.text
            self.whole[case.name] = only_run(place), ended.seconds
        return self.whole[case.name]

    def carry_out(self, case: Case, kinds: tuple[str, ...], rng: random.Random) -> Outcome:
        """Begin a run of ``case``, kill it at a moment of the first kind, resume it, kill it at one of the second ..., and compare.

        A moment that did not come (the run ended before it) is drawn anew, from the beginning, a few times.
        """
        outcome = Outcome(case.name, kinds)
        never, whole = self.never(case)
        for _ in range(20):
            self.number += 1
            folder = self.folder / f"{self.number:04d}"
            case.prepare(folder)
            outcome.kills = outcome.resumes = outcome.anew = 0
            if self._kill(case, folder, [draw(kind, rng, whole, place > 0) for place, kind in enumerate(kinds)], outcome):
                break
        else:
            outcome.troubles.append("it was never killed")
            return outcome
        if not outcome.troubles:
            outcome.troubles += compare.differences(never, only_run(folder))
        if outcome.troubles:
            outcome.resumes = 0
            outcome.troubles.append(f"in {folder}")
        return outcome

    def _kill(self, case: Case, place: Path, planned: list[moments.Moment], outcome: Outcome) -> bool:
        """Whether the first moment came, at least."""
        ended = self.server.run(place, *case.words(), moment=planned[0])
        for moment in [*planned[1:], None]:
            if not ended.killed:  # the run was over before that moment came; once killed is enough
                return self._trouble(outcome, ended, 0) or outcome.kills > 0
            outcome.kills += 1
            outcome.troubles += compare.damaged(only_run(place))
            ended = self.server.run(place, "resume", "last", "--quiet", moment=moment)
            if ended.code == 2 and "is finished" in ended.text:  # killed after its last word
                return True
            outcome.resumes += 1
            if "has no checkpoint to resume from" in ended.text:
                return self._anew(case, place, ended, outcome)
        return self._trouble(outcome, ended, 0) or True

    def _anew(self, case: Case, place: Path, ended: Ended, outcome: Outcome) -> bool:
        """Do as the error says: begin again."""
        self._trouble(outcome, ended, 2)
        dead = only_run(place)
        ended = self.server.run(place, "run", str(dead / "recipe.toml"), "--quiet")
        self._trouble(outcome, ended, 0)
        dead.rename(place / dead.name)
        outcome.anew, outcome.resumes = 1, outcome.resumes - 1
        return True

    def _trouble(self, outcome: Outcome, ended: Ended, expected: int) -> bool:
        """Note an end that should not be; False."""
        if ended.code != expected or "Traceback" in ended.text:
            outcome.troubles.append(f"exit code {ended.code}: {ended.text.strip()}")
        return False


def only_run(place: Path) -> Path:
    """The folder of the one run in ``place``."""
    (run,) = (place / "runs").iterdir()
    return run


def sample(cases: list[Case], number: int, seed: int, kinds: tuple[str, ...] = KINDS) -> list[tuple[Case, tuple[str, ...]]]:
    """``number`` plans: cases and kinds in turns, so that each is there as often as the others; one in six has several kills."""
    rng = random.Random(seed)
    order = rng.sample(cases, len(cases))
    planned: list[tuple[Case, tuple[str, ...]]] = []
    for index in range(number):
        kind = kinds[index % len(kinds)]
        case = order[(index + index // len(order)) % len(order)]
        first = (rng.choice(KINDS[:-2]),) if kind == "while resuming" else ()
        more = tuple(rng.choice(KINDS[:3]) for _ in range(rng.randint(1, 2))) if index % 6 == 5 else ()
        planned.append((case, (*first, kind, *more) if kind != "at the end" else (*more, kind)))
    return planned


def table(outcomes: list[Outcome]) -> str:
    """Kills and, after the stroke, those of the plans they belong to that ended exactly; a row for a case, a column for a kind."""
    counts: dict[tuple[str, str], list[int]] = {}
    for outcome in outcomes:
        for kind in outcome.kinds[: outcome.kills]:
            cell = counts.setdefault((outcome.case, kind), [0, 0])
            cell[0] += 1
            cell[1] += not outcome.troubles
    names = sorted({outcome.case for outcome in outcomes})
    rows = [["", *KINDS, "sum"]]
    for name in [*names, "sum"]:
        row: list[list[int]] = []
        for kind in KINDS:
            cells = [cell for (case, column), cell in counts.items() if column == kind and name in (case, "sum")]
            row.append([sum(cell[0] for cell in cells), sum(cell[1] for cell in cells)])
        total = [sum(cell[0] for cell in row), sum(cell[1] for cell in row)]
        rows.append([name, *(f"{cell[0]}/{cell[1]}" if cell[0] else "" for cell in [*row, total])])
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """The sums that a reader asks for first."""
    return {
        "runs": len(outcomes),
        "kills": sum(outcome.kills for outcome in outcomes),
        "exact resumes": sum(outcome.resumes for outcome in outcomes if not outcome.troubles),
        "begun anew": sum(outcome.anew for outcome in outcomes),
        "troubles": sum(bool(outcome.troubles) for outcome in outcomes),
    }
