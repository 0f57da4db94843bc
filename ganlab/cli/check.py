"""``ganlab check``: validate a recipe and build all of it, without training."""

from __future__ import annotations

from pathlib import Path

from ganlab.cli.build import build_run
from ganlab.game.hooks import transcript_of
from ganlab.screen.summary import facts
from ganlab.screen.terminal import show_facts, show_lines, show_table


def check(recipe: str, overrides: list[str], data_root: Path | None, hooks: bool) -> None:
    """Validate a recipe, build all of it, and print what was built or, with ``hooks``, the tricks that each hook calls."""
    run = build_run(recipe, overrides, data_root)
    if hooks:
        tricks_by_hook = transcript_of(run.game.hooks)
        rows = [(hook, ", ".join(tricks)) for hook, tricks in tricks_by_hook.items()]
        show_table([("hook", "tricks, in the order of their calls"), *rows])
        show_lines("")
    else:
        show_facts(facts(run.game))
    show_lines(f"{run.recipe.name} is a valid recipe: ganlab run {recipe}")
