"""The discriminator alone, at first."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_support import Capture, StopAt, resumed, trick

from ganlab.testing import play


@pytest.mark.parametrize(
    ("overrides", "turns"),
    [
        ([], 1),
        (["schedule.order=simultaneous"], 1),
        (["schedule.order=generator_first", "schedule.discriminator_steps=3", "schedule.generator_steps=2"], 3),
        (["schedule.discriminator_turn=two_updates"], 2),
    ],
)
def test_the_generator_has_no_turn_in_the_first_steps(overrides: list[str], turns: int) -> None:
    headed, plain = Capture(), Capture()
    run = play(headed, steps=6, overrides=[*overrides, trick("discriminator_head_start", steps=4)])
    play(plain, steps=6, overrides=overrides)

    def told(capture: Capture, steps: range) -> list[tuple[int, str, tuple[str, ...]]]:
        return [(turn["step"], turn["role"], turn["sides"]) for turn in capture.turns if turn["step"] in steps]

    assert told(headed, range(1, 5)) == [turn for turn in told(plain, range(1, 5)) if turn[1] == "discriminator"]
    assert told(headed, range(5, 7)) == told(plain, range(5, 7))
    assert run.players["discriminator"].updates == 6 * turns


def test_a_resumed_run_has_no_second_head_start(tmp_path: Path) -> None:
    stopped = play(StopAt(5), steps=8, overrides=[trick("discriminator_head_start", steps=4)], folder=tmp_path)
    assert stopped.players["generator"].updates == 1
    assert resumed(stopped.path).players["generator"].updates == 4
