"""The engine against loops written by hand in plain PyTorch, fed with the batches and latents that the engine drew."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from engine_support import Capture, trick, weights
from torch import Tensor, nn, optim
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from ganlab.runs.training import execute
from ganlab.testing import prepare

NORM = 'batch_norm="before_activation"'
STEPS = 12


def players(norm: bool) -> list[str]:
    # a bias before batch normalization has a gradient of 0 but for roundings, which Adam blows up to whole steps
    more, optimizer = (f",{NORM}", 'use="sgd",lr=0.05,momentum=0.5') if norm else ("", 'use="adam",lr=0.01')
    return [f'{role}={{use="mlp",hidden=[7,5]{more},optimizer={{{optimizer}}}}}' for role in ("generator", "discriminator")]


def entropy(scores: Tensor, label: float) -> Tensor:
    return binary_cross_entropy_with_logits(scores.squeeze(1), torch.full((len(scores),), label, dtype=scores.dtype))


def same_bits(scores: Tensor, label: float) -> Tensor:
    """The same, with the roundings of ganlab's own loss."""
    return softplus((-scores if label else scores).squeeze(1), threshold=80.0).mean(0)


class ByHand:
    """Copies of a run's networks, as they are before the first step, with optimizers of their own."""

    def __init__(self, *overrides: str, norm: bool = False, dtype: str = "float64") -> None:
        self.capture = Capture()
        given = [*players(norm), 'loss={use="bce"}', f"train.dtype={dtype}", *overrides]
        self.run = prepare(self.capture, steps=STEPS, overrides=given)
        self.g, self.d = (copy.deepcopy(self.run.players[role].network) for role in ("generator", "discriminator"))  # type: ignore[index]
        self.opt_g, self.opt_d = (
            optim.SGD(network.parameters(), lr=0.05, momentum=0.5, fused=True)
            if norm
            else optim.Adam(network.parameters(), lr=0.01, fused=True)
            for network in (self.g, self.d)
        )
        execute(self.run)

    def turns(self) -> list[dict[str, Any]]:
        return self.capture.turns

    def learn(self, optimizer: optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def agrees(self, exactly: bool = False) -> None:
        ours = weights(self.run)
        for role, network in (("generator", self.g), ("discriminator", self.d)):
            for name, value in network.state_dict().items():
                if exactly:
                    assert value.equal(ours[f"{role}.{name}"]), name
                else:
                    torch.testing.assert_close(ours[f"{role}.{name}"], value, rtol=1e-12, atol=1e-13)


def pairs(turns: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return list(zip(turns[::2], turns[1::2], strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", [False, True])
def test_the_default_schedule_is_the_common_loop_bit_for_bit(norm: bool, dtype: str, one_by_one: None) -> None:
    """T0: D on real and fake in two passes, summed; then G on fresh noise, through D in train mode."""
    hand = ByHand(norm=norm, dtype=dtype)
    for d_turn, g_turn in pairs(hand.turns()):
        with torch.no_grad():
            fake = hand.g(d_turn["latent"])
        hand.learn(hand.opt_d, same_bits(hand.d(d_turn["real"]), 1.0) + same_bits(hand.d(fake), 0.0))
        hand.learn(hand.opt_g, same_bits(hand.d(hand.g(g_turn["latent"])), 1.0))
    hand.agrees(exactly=True)
    assert not d_turn["latent"].equal(g_turn["latent"])


def test_fakes_that_are_not_detached_make_no_difference() -> None:
    """T0 as published: the gradient that leaks into G is zeroed before it is used."""
    hand = ByHand()
    for d_turn, g_turn in pairs(hand.turns()):
        hand.learn(hand.opt_d, entropy(hand.d(d_turn["real"]), 1.0) + entropy(hand.d(hand.g(d_turn["latent"])), 0.0))
        hand.learn(hand.opt_g, entropy(hand.d(hand.g(g_turn["latent"])), 1.0))
    hand.agrees()


@pytest.mark.parametrize("norm", [False, True])
def test_simultaneous_updates_are_computed_before_either_is_applied(norm: bool) -> None:
    hand = ByHand("schedule.order=simultaneous", norm=norm)
    for d_turn, g_turn in pairs(hand.turns()):
        with torch.no_grad():
            fake = hand.g(d_turn["latent"])
        loss_d = entropy(hand.d(d_turn["real"]), 1.0) + entropy(hand.d(fake), 0.0)
        loss_g = entropy(hand.d(hand.g(g_turn["latent"])), 1.0)
        gradients = [torch.autograd.grad(loss, list(network.parameters())) for loss, network in ((loss_d, hand.d), (loss_g, hand.g))]
        for network, optimizer, found in zip((hand.d, hand.g), (hand.opt_d, hand.opt_g), gradients, strict=True):
            for parameter, gradient in zip(network.parameters(), found, strict=True):
                parameter.grad = gradient
            optimizer.step()
    hand.agrees()
    alternating = ByHand(norm=norm)
    assert not weights(hand.run)["generator.layers.0.weight"].equal(weights(alternating.run)["generator.layers.0.weight"])


def test_the_generator_first_on_the_same_noise_as_the_matlab_tutorial() -> None:
    """T1: G first; then D once on [fake; real] of the same z through the updated G, mean over all rows."""
    schedule = {
        "order": "generator_first",
        "noise": "per_step",
        "discriminator_turn": "one_pass",
        "discriminator_loss": "mean",
        "first_side": "fake",
    }
    hand = ByHand(*[f"schedule.{key}={value}" for key, value in schedule.items()], norm=True)
    for g_turn, d_turn in pairs(hand.turns()):
        assert g_turn["latent"].equal(d_turn["latent"])
        hand.learn(hand.opt_g, entropy(hand.d(hand.g(g_turn["latent"])), 1.0))
        with torch.no_grad():
            fake = hand.g(d_turn["latent"])
        logits = hand.d(torch.cat([fake, d_turn["real"]])).squeeze(1)
        labels = torch.cat([torch.zeros(8), torch.ones(8)]).double()
        hand.learn(hand.opt_d, binary_cross_entropy_with_logits(logits, labels))
    hand.agrees()


def test_the_keras_tutorials_modes() -> None:
    """T4: fakes for D from G in inference mode; D once on [real; fake]; G in training mode."""
    schedule = {"generator_mode": "eval", "discriminator_turn": "one_pass", "discriminator_loss": "mean"}
    hand = ByHand(*[f"schedule.{key}={value}" for key, value in schedule.items()], norm=True)
    for d_turn, g_turn in pairs(hand.turns()):
        with torch.no_grad():
            fake = hand.g.eval()(d_turn["latent"])
        logits = hand.d(torch.cat([d_turn["real"], fake])).squeeze(1)
        labels = torch.cat([torch.ones(8), torch.zeros(8)]).double()
        hand.learn(hand.opt_d, binary_cross_entropy_with_logits(logits, labels))
        hand.learn(hand.opt_g, entropy(hand.d(hand.g.train()(g_turn["latent"])), 1.0))
    hand.agrees()


def test_the_adaptive_tutorials_step() -> None:
    """T3: D steps on real, then again on fake; each gradient is clipped; the losses are of clamped probabilities; rests."""
    given = ["schedule.discriminator_turn=two_updates", "schedule.generator_mode=eval", "schedule.discriminator_mode=eval"]
    given += [
        trick("clamp"),
        trick("gradient_clipping", max_norm=0.3),
        trick("adaptive_generator_steps", generator_loss_below=0.75, rest_per_loss=1.5, max_updates=4),
    ]
    hand = ByHand(*given, "loss.saturating=true", norm=True)
    turns, trained, rest = iter(hand.turns()), [], 0
    turn = next(turns, None)

    def clip(network: nn.Module) -> None:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
        if norm > 0.3:
            for gradient in gradients:
                gradient.mul_(0.3 / norm)

    def learn(network: nn.Module, optimizer: optim.Optimizer, loss: Tensor) -> float:
        optimizer.zero_grad()
        loss.backward()
        clip(network)
        optimizer.step()
        return loss.item()

    while turn is not None:
        hand.d.train()
        l_r = learn(hand.d, hand.opt_d, -torch.log(torch.clamp(hand.d(turn["real"]).sigmoid(), 1e-3, 1)).mean())
        turn = next(turns)
        with torch.no_grad():
            fake = hand.g.eval()(turn["latent"])
        l_f = learn(hand.d, hand.opt_d, -torch.log(1 - torch.clamp(hand.d(fake).sigmoid(), 0, 1 - 1e-3)).mean())
        turn = next(turns, None)
        loss, updates = 0.0, 0
        hand.g.train()
        hand.d.eval()
        while l_r + l_f < 1.75 and rest <= 0 and abs(loss) < 0.75 and updates < 4:
            assert turn is not None
            assert turn["role"] == "generator"
            score = hand.d(hand.g(turn["latent"])).sigmoid()
            loss = learn(hand.g, hand.opt_g, torch.log(1 - torch.clamp(score, 0, 1 - 1e-3)).mean())
            updates += 1
            turn = next(turns, None)
        rest = int(1 + 1.5 * abs(loss)) if updates else rest - (rest > 0)
        trained.append(updates)
    assert len(trained) == STEPS
    assert sum(trained) == hand.run.players["generator"].updates
    assert 0 in trained
    assert max(trained) > 1
    hand.agrees()
