"""The commands that look at recipes, and remove runs; they need no torch."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import click
from rich.table import Table

from ganlab.errors import UsageError, did_you_mean
from ganlab.records.summaries import delete_run, find_run
from ganlab.screen.terminal import console, show_lines


def recipes(copy: str | None) -> None:
    """List the shipped recipes, or copy one of them here."""
    from ganlab.recipe import shipped_recipes

    shipped = shipped_recipes()
    if copy is None:
        table = Table("recipe", "what it is", box=None, pad_edge=False)
        for name, path in sorted(shipped.items()):
            table.add_row(name, tomllib.loads(path.read_text(encoding="utf-8")).get("description", ""))
        console.print(table)
        show_lines("", "ganlab run NAME trains one; ganlab recipes --copy NAME puts it here to edit")
        return
    if copy not in shipped:
        raise UsageError(f"there is no shipped recipe '{copy}'", did_you_mean(copy, shipped))
    target = Path(f"{copy}.toml")
    if target.exists():
        raise UsageError(f"{target} is already here", "rename it first; nothing was overwritten")
    try:
        shutil.copyfile(shipped[copy], target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written here: {error.strerror}", "go to a folder of yours") from error
    show_lines(f"{target} is here: edit it, then type  ganlab run {target}")


def delete(name: str, folder: Path, yes: bool) -> None:
    """Remove a run after asking."""
    run = find_run(folder, name)
    size = sum(file.stat().st_size for file in run.folder.path.rglob("*") if file.is_file()) / 1e6
    if not yes and not click.confirm(f"Remove {run.folder.path} ({run.status}, {size:.1f} MB) for good?"):
        show_lines("nothing was removed")
        return
    delete_run(run)
    show_lines(f"{run.folder.path} is removed")


def schema() -> None:
    """Print the JSON schema of recipes."""
    from ganlab.recipe import schema as recipe_schema
    from ganlab.registry.catalogue import Catalogue

    click.echo(json.dumps(recipe_schema(Catalogue.of_installed()), indent=2))
