"""Load the state of an optimizer whose options have changed since it was saved."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch

from ganlab.game.factories import make
from ganlab.game.player import Player
from ganlab.recipe import Choice


def load_optimizer(player: Player, choice: Choice, state: dict[str, Any], recipe_then: dict[str, Any], changed: Collection[str]) -> bool:
    """Load the state of a player's optimizer. It holds the options too: those that the recipe has changed stay the recipe's.

    Another optimizer starts from its initial state, and so does one whose new options need other averages (amsgrad, momentum).

    Args:
        recipe_then: the checkpoint's recipe: its options by name.
        changed: the keys of the recipe that are other than the checkpoint's.

    Raises:
        ValueError: the state does not fit the optimizer. So do a KeyError, a TypeError and others, which torch raises.

    Returns:
        Whether the optimizer starts from its initial state because it needs other averages.
    """
    table = f"{player.role}.optimizer."
    if not any(key.startswith(table) for key in changed):
        groups = _groups(player.optimizer)
        player.optimizer.load_state_dict(state)
        _refuse_other_options(player.optimizer, groups)
        _refuse_other_averages(player, choice)
        return False
    if f"{table}use" in changed:
        return False
    groups_now, groups_then = _groups(player.optimizer), _groups(_remade(player, choice, _options_then(recipe_then, table)))
    needed = _averages(_remade(player, choice, {}))
    player.optimizer.load_state_dict(state)
    starts_over = bool(player.optimizer.state) and _names(player.optimizer) != needed
    if starts_over:
        player.optimizer.state.clear()
    for group, now, then in zip(player.optimizer.param_groups, groups_now, groups_then, strict=True):
        group.update({key: value for key, value in now.items() if value != then.get(key)})
    return starts_over


def _refuse_other_options(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> None:
    """Check that the options that were loaded are of the same kinds as those in ``groups``. torch looks at them when it steps."""
    for before, after in zip(groups, _groups(optimizer), strict=True):
        for name, value in before.items():
            if name not in after or (value is not None is not after[name] and _kind(value) != _kind(after[name])):
                raise ValueError(f"the option {name} is {after.get(name)!r}")


def _kind(value: Any) -> tuple[object, int]:
    """What an option is: its type, where all numbers are one, and for a list its length."""
    kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
    return ("list", len(value)) if isinstance(value, list | tuple) else (kind, 0)


def _refuse_other_averages(player: Player, choice: Choice) -> None:
    """Check the shapes of the averages that were loaded. torch looks at them when it steps.

    An average has its parameter's shape, or is a number. Optimizers with others are compared with one that has made a step.
    """
    kept = [(p, player.optimizer.state[p]) for p in player.parameters if p in player.optimizer.state]
    names = {frozenset(averages) for _, averages in kept}
    numbers = (int, float, type(None))
    if len(names) <= 1 and all(
        value.shape in ((), (1,), p.shape) if isinstance(value, torch.Tensor) else isinstance(value, numbers)
        for p, averages in kept
        for value in averages.values()
    ):
        return
    like = _remade(player, choice, {})
    _averages(like)
    for (p, averages), expected in zip(kept, like.state.values(), strict=True):
        if _shapes(averages) != _shapes(expected):
            raise ValueError(f"the averages of a parameter of shape {tuple(p.shape)} are {_shapes(averages)}")


def _shapes(averages: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__ for name, value in averages.items()}


def _remade(player: Player, choice: Choice, options: dict[str, Any]) -> torch.optim.Optimizer:
    """The player's optimizer as its recipe has it but for ``options``, on copies of its parameters."""
    known = {name: value for name, value in options.items() if name in choice.options}
    copies = [torch.nn.Parameter(p.detach().clone()) for p in player.parameters]
    optimizer: torch.optim.Optimizer = make(replace(choice, options=choice.options | known), copies)
    return optimizer


def _options_then(recipe: dict[str, Any], table: str) -> dict[str, Any]:
    """An optimizer's options in a checkpoint's recipe, where lists and truth values stand as TOML writes them."""
    options = {}
    for key, value in recipe.items():
        if key.startswith(table):
            with contextlib.suppress(ValueError):  # it is text
                value = tomllib.loads(f"x = {value}")["x"]
            options[key.removeprefix(table)] = tuple(value) if isinstance(value, list) else value
    return options


def _groups(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    return [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]


def _averages(optimizer: torch.optim.Optimizer) -> set[str]:
    """What an optimizer keeps of each parameter once it has stepped."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return _names(optimizer)


def _names(optimizer: torch.optim.Optimizer) -> set[str]:
    return {name for kept in optimizer.state.values() for name, value in kept.items() if value is not None}
