"""``ganlab recipes``: list the shipped recipes, or copy one to edit it. Imports no torch."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.table import Table

from ganlab.errors import UsageError, did_you_mean
from ganlab.recipe import describe_recipe, shipped_recipes
from ganlab.screen.terminal import console, show_lines


def recipes(copy: str | None) -> None:
    """List the shipped recipes with their descriptions, or copy one of them into the current folder.

    Raises:
        UsageError: no shipped recipe has this name, the file exists already, or it cannot be written.
    """
    shipped = shipped_recipes()
    if copy is None:
        table = Table("recipe", "what it is", box=None, pad_edge=False)
        for name, path in shipped.items():
            table.add_row(name, describe_recipe(path))
        console.print(table)
        show_lines("", "ganlab run NAME trains one; ganlab recipes --copy NAME copies it here to edit")
        return
    if copy not in shipped:
        raise UsageError(f"there is no shipped recipe '{copy}'", did_you_mean(copy, shipped))
    target = Path(f"{copy}.toml")
    if target.exists():
        raise UsageError(f"{target} already exists", "rename it first; nothing was overwritten")
    try:
        shutil.copyfile(shipped[copy], target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written here: {error.strerror}", "change to a folder that you can write to") from error
    show_lines(f"{target} is written: edit it, then type  ganlab run {target}")
