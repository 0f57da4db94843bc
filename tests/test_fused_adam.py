"""Adam without what torch looks up anew at each step: the same numbers, bit for bit, as torch's fused Adam."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlab_optimizers.fused_adam import Adam

Pair = tuple[torch.optim.Adam, Adam]


def set_all(pair: Pair, key: str, value: float) -> None:
    for optimizer in pair:
        optimizer.param_groups[0][key] = value


def find_infinite(pair: Pair, found: float) -> None:
    for optimizer in pair:
        optimizer.found_inf = torch.tensor(found)  # type: ignore[union-attr]


def reload(pair: Pair) -> None:
    pair[1].load_state_dict(copy.deepcopy(pair[1].state_dict()))


def lose_a_gradient(pair: Pair) -> None:
    for optimizer in pair:
        optimizer.param_groups[0]["params"][1].grad = None


def replace_state(pair: Pair) -> None:
    for optimizer in pair:
        for state in optimizer.state.values():
            state["exp_avg"] = torch.ones_like(state["exp_avg"])


def add_a_group(pair: Pair) -> None:
    for optimizer in pair:
        optimizer.add_param_group({"params": [torch.ones(4, requires_grad=True)], "lr": 0.5})


EVENTS: dict[str, Callable[[Pair], None]] = {
    "nothing": lambda pair: None,
    "another rate": lambda pair: set_all(pair, "lr", 0.1),
    "another eps": lambda pair: set_all(pair, "eps", 0.1),
    "not finite": lambda pair: find_infinite(pair, 1.0),
    "finite": lambda pair: find_infinite(pair, 0.0),
    "reloaded": reload,
    "no gradient": lose_a_gradient,
    "another state": replace_state,
    "one more group": add_a_group,
}


def parameters() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in ((7, 5), (3,))]


@pytest.mark.parametrize("options", [{}, {"amsgrad": True, "weight_decay": 0.1}, {"betas": (0.5, 0.9)}], ids=str)
@pytest.mark.parametrize("event", EVENTS)
def test_it_gives_the_same_bits(event: str, options: dict[str, Any]) -> None:
    pair = torch.optim.Adam(parameters(), fused=True, **options), Adam(parameters(), fused=True, **options)
    generator = torch.Generator().manual_seed(1)
    for step in range(8):
        every = [[p for group in optimizer.param_groups for p in group["params"]] for optimizer in pair]
        for one, other in zip(*every, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        if step == 4:
            EVENTS[event](pair)
        for optimizer in pair:
            optimizer.step()
            if step == 4 and hasattr(optimizer, "found_inf"):
                del optimizer.found_inf
    states = [copy.deepcopy(optimizer.state_dict()) for optimizer in pair]
    assert all(map(torch.equal, *every))
    for one, other in zip(states[0]["state"].values(), states[1]["state"].values(), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one) and set(one) == set(other)


def test_torch_is_not_asked_after_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("ganlab_optimizers.fused_adam._torchs", lambda optimizer, closure: asked.append(1))
    optimizer = Adam(parameters(), fused=True)
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert asked == [1]
    monkeypatch.undo()
    optimizer.step()
    monkeypatch.setattr("ganlab_optimizers.fused_adam._torchs", lambda optimizer, closure: asked.append(1))
    optimizer.step()
    assert asked == [1]


def test_step_hooks_and_closures_are_called() -> None:
    optimizer, seen = Adam(parameters(), fused=True), []
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    handles = [optimizer.register_step_pre_hook(lambda *given: seen.append("before"))]
    handles.append(optimizer.register_step_post_hook(lambda *given: seen.append("after")))
    optimizer.step()
    assert seen == ["before", "after"]
    for handle in handles:
        handle.remove()
    assert optimizer.step(lambda: 3.0) == 3.0 and len(seen) == 2


def test_gradients_are_forgotten_or_zeroed() -> None:
    optimizer = Adam(parameters(), fused=True)
    own = optimizer.param_groups[0]["params"]
    for parameter in own:
        parameter.grad = torch.ones_like(parameter)
    optimizer.zero_grad(set_to_none=False)
    assert not any(bool(parameter.grad.any()) for parameter in own)
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in own)
