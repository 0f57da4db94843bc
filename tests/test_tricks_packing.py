"""Packing: the discriminator's input, which samples are in a pack, and what is refused."""

from __future__ import annotations

import pytest
import torch
from engine_support import Capture, Plugin, trick

import ganlab
from ganlab.errors import UsageError
from ganlab.testing import play, prepare


def images(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
    return ganlab.ResidentDataset(torch.arange(16 * 2 * 3 * 4).reshape(16, 2, 3, 4).float() / 400, torch.arange(16) % 2, class_names="ab")


MLPS = [f'{role}={{use="mlp",hidden=[4],optimizer={{use="sgd"}}}}' for role in ("generator", "discriminator")]


@pytest.mark.parametrize("size", [2, 4])
def test_the_discriminator_sees_packs_joined_along_the_first_dimension(size: int) -> None:
    packed, plain = Capture(), Capture()
    plugins = [Plugin(datasets={"images": images})]
    run = play(packed, steps=1, overrides=['data={use="images"}', *MLPS, trick("packing", size=size)], plugins=plugins)
    play(plain, steps=1, overrides=['data={use="images"}', *MLPS], plugins=plugins)
    assert run.players["discriminator"].spec.input_shape == (2 * size, 3, 4)
    assert run.players["generator"].spec.output_shape == (2, 3, 4)
    real, alone = packed.turns[0]["real"], plain.turns[0]["real"]
    assert real.shape == packed.turns[0]["fake"].shape == (8 // size, 2 * size, 3, 4)
    for pack in range(8 // size):
        for place in range(size):
            sample = alone[pack * size + place]
            assert real[pack, 2 * place : 2 * place + 2].equal(sample)  # neighbours, in their order, channels together
    assert packed.turns[0]["fake"].reshape(8, 2, 3, 4).equal(plain.turns[0]["fake"])
    for turn in packed.turns:
        assert turn["fake_scores"].shape == (8 // size,)
        assert turn["real_labels"] is turn["fake_labels"] is None


def test_points_in_the_plane_are_packed_too_and_the_generator_learns_through_packs() -> None:
    capture = Capture()
    run = play(capture, steps=2, overrides=[trick("packing", size=4)])
    assert run.players["discriminator"].spec.input_shape == (8,)
    assert capture.turns[0]["real"].shape == (2, 8)
    assert capture.turns[1]["gradients"][0].abs().max() > 0
    assert run.images_seen == 16


@pytest.mark.parametrize("turn", ["one_pass", "two_updates"])
def test_it_goes_with_every_turn_of_the_discriminator(turn: str) -> None:
    capture = Capture()
    play(capture, steps=1, overrides=[trick("packing"), f"schedule.discriminator_turn={turn}"])
    assert all(t["fake_scores"].shape == (4,) for t in capture.turns if t["fake_scores"] is not None)
    assert all(t["real_scores"].shape == (4,) for t in capture.turns if t["real_scores"] is not None)


def test_a_size_that_does_not_divide_the_batch_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        prepare(overrides=[trick("packing", size=3)])
    assert str(caught.value) == "packing.size = 3 does not divide train.batch_size = 8\nchange one of them"


def test_a_penalty_on_packs_is_of_the_whole_pack() -> None:
    for tricks in ([trick("packing"), trick("r1_penalty")], [trick("r1_penalty"), trick("packing")]):
        capture = Capture()
        run = prepare(capture, steps=1, overrides=tricks)
        weight = run.players["discriminator"].network.linear.weight.detach().clone()  # type: ignore[union-attr]
        from ganlab.runs.training import execute

        execute(run)
        assert capture.turns[0]["terms"]["r1_penalty"] == pytest.approx(5.0 * weight.square().sum().item(), rel=1e-5)
