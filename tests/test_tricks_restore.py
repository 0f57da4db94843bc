"""Going back to a checkpoint when the data could not be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_support import Plugin, hooked, lines, same, trick, weights
from torch import Tensor

import ganlab
from ganlab.errors import NonFiniteError, PluginError
from ganlab.testing import play, tiny_data

EVERY = "train.checkpoint_every=3"


class Away(ganlab.ResidentDataset):
    """Data on a server that is away at these calls."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.calls, self.away = 0, set[int]()

    def fetch(self, indices: Tensor) -> ganlab.Batch:
        self.calls += 1
        if self.calls in self.away:
            raise OSError(5, "Input/output error")
        return super().fetch(indices)


def away_at(*calls: int) -> dict[str, Any]:
    def away(spec: ganlab.DatasetSpec) -> Away:
        data = tiny_data(spec)
        made = Away(data.images, data.labels, class_names=data.class_names)
        made.away = set(calls)
        return made

    return {"plugins": [Plugin(datasets={"away": away})]}


def played(folder: Path, *calls: int, **options: Any) -> Any:
    given = [EVERY, 'data={use="away"}', "train.log_every=2", trick("restore_on_read_error", wait_seconds=0, **options)]
    return play(steps=10, overrides=given, folder=folder, **away_at(*calls))


def test_it_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    never, run = played(tmp_path / "never"), played(tmp_path / "away", 5, 6, 12)
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)
    text = (
        "dataset 'away' raised OSError: [Errno 5] Input/output error. "
        "The run went back to step {} and goes on ({} of at most 5 times in a row)."
    )
    assert run.info["announcements"] == [text.format(3, 1), text.format(3, 2), text.format(6, 1)]


def test_it_gives_up_after_so_many_times_in_a_row(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="Input/output error"):
        played(tmp_path, *range(5, 99), times=2)


def test_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("ganlab_stability.restore.time.sleep", waited.append)
    play(
        steps=6,
        overrides=[EVERY, 'data={use="away"}', trick("restore_on_read_error", wait_seconds=7)],
        folder=tmp_path,
        **away_at(5),
    )
    assert waited.count(7.0) == 1  # other threads of this process sleep, too


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="Input/output error"):
        played(tmp_path, 2)


@pytest.mark.parametrize("error", [OSError("a trick's own file"), ValueError("a mistake"), NonFiniteError("made up")])
def test_other_errors_are_not_its_business(tmp_path: Path, error: Exception) -> None:
    def fail(step: int) -> None:
        if step == 5:
            raise error

    with pytest.raises(ganlab.GanlabError, match=str(error)):
        play(hooked(after_step=fail), steps=10, overrides=[EVERY, trick("restore_on_read_error", wait_seconds=0)], folder=tmp_path)
