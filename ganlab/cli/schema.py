"""``ganlab schema``: the JSON schema of recipes."""

from __future__ import annotations

from ganlab.recipe import schema as recipe_schema
from ganlab.registry.catalogue import Catalogue
from ganlab.screen.terminal import show_json


def schema() -> None:
    """Print the JSON schema of recipes, with the options of every installed plugin."""
    show_json(recipe_schema(Catalogue.of_installed()))
