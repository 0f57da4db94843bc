"""Labels travel with their images, and reach networks that take them."""

from __future__ import annotations

import pytest
import torch
from engine_support import Capture, Plugin
from torch import Tensor, nn

import ganlab
from ganlab.errors import RecipeError
from ganlab.testing import TinyNetwork, play, prepare

Calls = list[tuple[str, Tensor, Tensor]]


def conditional(calls: Calls) -> Plugin:
    """Networks that need labels, and write down each call."""

    class Conditional(TinyNetwork):
        def __init__(self, spec: ganlab.NetworkSpec) -> None:
            super().__init__(spec)
            self.role, self.embedding = spec.role, nn.Embedding(spec.classes, 1)

        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # type: ignore[override]
            assert labels is not None
            calls.append((self.role, x.detach().clone(), labels.clone()))
            return super().forward(x) + self.embedding(labels)

    return Plugin(networks={"conditional": Conditional})


BOTH = [f'{role}={{use="conditional",optimizer={{use="tiny"}}}}' for role in ("generator", "discriminator")]


@pytest.mark.parametrize("turn", ["two_passes", "one_pass", "two_updates"])
def test_labels_travel_with_their_images(turn: str) -> None:
    calls: Calls = []
    capture = Capture()
    play(capture, steps=6, overrides=[*BOTH, f"schedule.discriminator_turn={turn}"], plugins=[conditional(calls)])
    shown = {(role, x.sum().item()): labels for role, x, labels in calls}
    for played in capture.turns:
        if played["real"] is not None:
            right = (played["real"][:, 0] > 0).long()  # the tiny data: 1 around (2, 2), 0 around (-2, -2)
            assert played["real_labels"].equal(right)
            assert 0 < right.sum() < 8
        if played["fake"] is not None:
            assert shown["generator", played["latent"].sum().item()].equal(played["fake_labels"])
        if played["role"] == "discriminator" and turn == "one_pass":
            both = torch.cat([played["real"], played["fake"]])
            labels = torch.cat([played["real_labels"], played["fake_labels"]])
            assert shown["discriminator", both.sum().item()].equal(labels)
        else:
            for side in ("real", "fake"):
                if played[side] is not None:
                    assert shown["discriminator", played[side].sum().item()].equal(played[f"{side}_labels"])
    drawn = torch.cat([played["fake_labels"] for played in capture.of("generator")])
    assert 8 < drawn.sum() < 40  # of 48 that are drawn evenly


def test_fakes_beside_real_samples_have_their_labels() -> None:
    capture = Capture()
    play(capture, steps=3, overrides=BOTH, plugins=[conditional([])])
    for played in capture.of("discriminator"):
        assert played["fake_labels"].equal(played["real_labels"])


def test_sheets_go_through_the_classes_and_a_person_may_ask_for_one() -> None:
    calls: Calls = []
    run = play(steps=2, overrides=BOTH, plugins=[conditional(calls)])
    calls.clear()
    latent = torch.zeros(5, 3)
    made = run.generate(latent)
    assert calls[0][2].tolist() == [0, 1, 0, 1, 0]
    ones = run.generate(latent, torch.ones(5, dtype=torch.int64))
    assert ones[0].equal(made[1])
    assert not ones[0].equal(made[0])


def test_networks_that_take_no_labels_are_given_none() -> None:
    capture = Capture()
    run = play(capture, steps=1)
    assert not any(player.takes_labels for player in run.players.values())
    assert capture.turns[0]["fake_labels"] is None


def test_data_without_labels_have_none() -> None:
    seen: list[Tensor | None] = []

    class Optional(TinyNetwork):
        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # type: ignore[override]
            seen.append(labels)
            return super().forward(x)

    plugins = [Plugin(networks={"optional": Optional}, datasets={"bare": lambda spec: ganlab.ResidentDataset(torch.rand(16, 2))})]
    overrides = ['data={use="bare"}', *(f'{role}={{use="optional",optimizer={{use="tiny"}}}}' for role in ("generator", "discriminator"))]
    for turn in ("two_passes", "one_pass"):
        run = play(steps=2, overrides=[*overrides, f"schedule.discriminator_turn={turn}"], plugins=plugins)
        run.generate(torch.zeros(2, 3))
    assert set(seen) == {None}


def test_a_discriminator_that_could_tell_fakes_by_their_lack_of_a_label_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=BOTH[1:], plugins=[conditional([])])
    (mistake,) = caught.value.mistakes
    assert mistake == (
        '--set discriminator={use="conditional",optimizer={use="tiny"}}: the discriminator, network \'conditional\' (plugin plugin0, '
        "the test) takes labels, but the generator, network 'tiny' (plugin testing, ganlab.testing) does not: fakes would have no labels"
    )
    assert caught.value.hint == "use a generator that takes labels, or a discriminator that takes none"
    prepare(overrides=BOTH[:1], plugins=[conditional([])])  # the other way round is no trouble


def test_a_second_parameter_of_another_name_is_not_taken_for_labels() -> None:
    class Scaled(TinyNetwork):
        def forward(self, x: Tensor, scale: float = 2.0) -> Tensor:  # type: ignore[override]
            assert scale == 2.0
            return super().forward(x) * scale

    overrides = [f'{role}={{use="scaled",optimizer={{use="tiny"}}}}' for role in ("generator", "discriminator")]
    run = play(steps=2, overrides=overrides, plugins=[Plugin(networks={"scaled": Scaled})])
    assert not any(player.takes_labels for player in run.players.values())
