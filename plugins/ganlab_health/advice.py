"""What to try: keys that the recipe at hand has, with values a step away from its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganlab.components import Role

if TYPE_CHECKING:
    from ganlab import Run

DOWN, UP = 0.3, 3.0  # a learning rate is changed by about half a decade
SMALL, LARGE = 1e-5, 1e-2  # learning rates beyond which the other way is the likelier one


class Advice:
    """Makes ``--set`` texts for a run's recipe. Each method gives a list: empty where there is nothing to set."""

    def __init__(self, run: Run) -> None:
        self.recipe, self.vetoed_by = run.recipe, run.vetoed_by
        self.logits = all(loss.logits for loss in run.losses.values())

    def learning_rate(self, role: str, factor: float) -> list[str]:
        """Another learning rate for a player."""
        player = self.recipe.discriminator if role == "discriminator" else self.recipe.generator
        rate = player.optimizer.options.get("lr")
        return [f"`--set {role}.optimizer.lr={rate * factor:.2g}` (it is {rate:g})"] if isinstance(rate, float | int) else []

    def other_learning_rate(self, role: str) -> list[str]:
        """A smaller or a larger learning rate, whichever is not absurd, where it is not known which is needed."""
        player = self.recipe.discriminator if role == "discriminator" else self.recipe.generator
        rate = player.optimizer.options.get("lr")
        if not isinstance(rate, float | int):
            return []
        smaller, larger = self.learning_rate(role, DOWN), self.learning_rate(role, UP)
        return smaller if rate > LARGE else larger if rate < SMALL else [*smaller, *larger]

    def trick(self, use: str, option: str = "", factor: float = 1.0) -> list[str]:
        """A trick that is missing or switched off; or, where it is on, an option of it multiplied by ``factor``."""
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
            return [f"`--set tricks.{name}.{option}={_like(value, value * factor)}` (it is {value:g})"]
        return [f"`--set tricks.{use}.use={use}`"]

    def clamp(self) -> list[str]:
        """The clamp, where scores are logits."""
        return self.trick("clamp") if self.logits else []

    def smoothing(self) -> list[str]:
        """Softer labels for D, by the loss's own option where it has one."""
        loss = self.recipe.losses["discriminator"]
        if loss.options.get("real_label") == 1.0 and loss.options.get("derivative", "exact") == "exact":
            return [f"`--set {loss.name}.real_label=0.9`"]
        return []

    def dropout(self) -> list[str]:
        """Dropout in D, where its network has that option and does not use it."""
        return ["`--set discriminator.dropout=0.3`"] if self.recipe.discriminator.network.options.get("dropout") == 0 else []

    def not_saturating(self) -> list[str]:
        """The non-saturating loss, where the loss has that option."""
        loss = self.recipe.losses["generator"]
        return [f"`--set {loss.name}.saturating=false`"] if loss.options.get("saturating") is True else []

    def generator_steps(self) -> list[str]:
        """More updates of G in a step."""
        steps = self.recipe.schedule.generator_steps
        return [] if self.recipe.schedule.order == "simultaneous" else [f"`--set schedule.generator_steps={steps + 1}`"]

    def no_veto(self, role: Role) -> list[str]:
        """Without the tricks that veto a player's turns, each by itself."""
        names = {choice.name for choice in self.recipe.tricks}
        return [f"`--set tricks.{name}.enabled=false`" for name in self.vetoed_by.get(role, []) if name in names]

    def packing(self) -> list[str]:
        """Pairs for D, where batches can be paired."""
        train = self.recipe.train
        even = train.batch_size % 2 == 0 and (train.discriminator_batch_size or 2) % 2 == 0
        return self.trick("packing") if even else []


def _like(value: float, wanted: float) -> str:
    """``wanted`` as a number of the type of ``value``."""
    return str(max(1, round(wanted))) if isinstance(value, int) else f"{wanted:.2g}"
