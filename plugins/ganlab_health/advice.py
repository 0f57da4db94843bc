"""What to try: ``--set`` options for the recipe at hand, with values one reasonable step away from its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganlab.components import Role

if TYPE_CHECKING:
    from ganlab import Run

DOWN, UP = 0.3, 3.0  # factors of a learning rate: about half a decade
SMALL_RATE, LARGE_RATE = 1e-5, 1e-2  # beyond them the learning rate should rather change in the other direction


class Advice:
    """Suggests ``--set`` options for a run's recipe. Each method returns a list, empty if the recipe has nothing to set."""

    def __init__(self, run: Run) -> None:
        self.recipe, self.vetoed_by = run.recipe, run.vetoed_by
        self.logits = all(loss.logits for loss in run.losses.values())

    def _learning_rate(self, role: str) -> float | None:
        """A player's learning rate; None if its optimizer has no such option."""
        player = self.recipe.discriminator if role == "discriminator" else self.recipe.generator
        rate = player.optimizer.options.get("lr")
        return rate if isinstance(rate, float | int) else None

    def learning_rate(self, role: str, factor: float) -> list[str]:
        """A player's learning rate, multiplied by ``factor``."""
        rate = self._learning_rate(role)
        return [] if rate is None else [f"`--set {role}.optimizer.lr={rate * factor:.2g}` (now {rate:g})"]

    def other_learning_rate(self, role: str) -> list[str]:
        """A smaller learning rate, a larger one, or both: for signs that do not tell which of them helps."""
        rate = self._learning_rate(role)
        if rate is None:
            return []
        smaller, larger = self.learning_rate(role, DOWN), self.learning_rate(role, UP)
        return smaller if rate > LARGE_RATE else larger if rate < SMALL_RATE else [*smaller, *larger]

    def trick(self, use: str, option: str = "", factor: float = 1.0) -> list[str]:
        """Add or enable a trick. If it is enabled already: multiply its ``option`` by ``factor``."""
        tables: list[dict[str, Any]] = self.recipe.document.get("tricks", [])
        for table in tables:
            name = table.get("name", table["use"])
            if table["use"] != use:
                continue
            if not table.get("enabled", True):
                return [f"`--set tricks.{name}.enabled=true`"]
            value = table.get(option)
            if not isinstance(value, float | int) or factor == 1.0:
                return []
            return [f"`--set tricks.{name}.{option}={_scaled(value, factor)}` (now {value:g})"]
        return [f"`--set tricks.{use}.use={use}`"]

    def clamp(self) -> list[str]:
        """The clamp, if scores are logits."""
        return self.trick("clamp") if self.logits else []

    def smoothing(self) -> list[str]:
        """Softer labels for D, if its loss has that option and does not use it."""
        loss = self.recipe.losses["discriminator"]
        if loss.options.get("real_label") == 1.0 and loss.options.get("derivative", "exact") == "exact":
            return [f"`--set {loss.name}.real_label=0.9`"]
        return []

    def dropout(self) -> list[str]:
        """Dropout in D, if its network has that option and does not use it."""
        return ["`--set discriminator.dropout=0.3`"] if self.recipe.discriminator.network.options.get("dropout") == 0 else []

    def not_saturating(self) -> list[str]:
        """The non-saturating loss, if the loss has that option and does not use it."""
        loss = self.recipe.losses["generator"]
        return [f"`--set {loss.name}.saturating=false`"] if loss.options.get("saturating") is True else []

    def generator_steps(self) -> list[str]:
        """One more update of G in a step."""
        steps = self.recipe.schedule.generator_steps
        return [] if self.recipe.schedule.order == "simultaneous" else [f"`--set schedule.generator_steps={steps + 1}`"]

    def no_veto(self, role: Role) -> list[str]:
        """Disable one of the tricks that veto a player's turns."""
        names = {choice.name for choice in self.recipe.tricks}
        return [f"`--set tricks.{name}.enabled=false`" for name in self.vetoed_by.get(role, []) if name in names]

    def packing(self) -> list[str]:
        """The trick ``packing``, if the batch sizes are even."""
        train = self.recipe.train
        even = train.batch_size % 2 == 0 and (train.discriminator_batch_size or 2) % 2 == 0
        return self.trick("packing") if even else []


def _scaled(value: float, factor: float) -> str:
    """``value * factor`` in the type of ``value``; an integer is at least 1."""
    return str(max(1, round(value * factor))) if isinstance(value, int) else f"{value * factor:.2g}"
