"""SIGKILL at any moment: a run that is resumed ends as one that was never stopped. A sample; all of it is ``tests/kills/many.py``."""

from __future__ import annotations

import random

import pytest
from cases import OPTIMIZERS, cases, stateful
from plan import KINDS, Bench, sample
from server import Server

from ganlab.recipe import shipped_recipes
from ganlab.registry.catalogue import Catalogue

KILLS = 24
SAMPLE = sample(cases(), KILLS, seed=4)


@pytest.fixture(scope="module")
def bench(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("kills"), server)


def test_everything_is_killed() -> None:
    names = {case.name for case in cases()}
    assert {f"recipe {name}" for name in shipped_recipes()} <= names
    assert {f"trick {name}" for name in stateful()} <= names
    assert {"r1_penalty", "adaptive_generator_steps"} <= stateful()
    assert {options.split('"')[1] for options in OPTIMIZERS.values()} == set(Catalogue.of_installed().names("optimizer"))
    assert {kind for _, kinds in SAMPLE for kind in kinds} == set(KINDS)


#: Every fourth kind is there once; the rest is slow.
NUMBERS = [pytest.param(number, marks=[pytest.mark.slow] * (number >= len(KINDS) or number % 4 > 0)) for number in range(KILLS)]


@pytest.mark.parametrize("number", NUMBERS, ids=[f"{case.name}, {', '.join(kinds)}" for case, kinds in SAMPLE])
def test_a_run_that_was_killed_ends_as_one_that_was_not(number: int, bench: Bench) -> None:
    case, kinds = SAMPLE[number]
    outcome = bench.carry_out(case, kinds, random.Random(number))
    assert outcome.troubles == []
    assert 1 <= outcome.kills <= len(kinds)
