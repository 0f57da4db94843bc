"""``ganlab schema``: the JSON schema of recipes."""

from __future__ import annotations

import json

import click

from ganlab.recipe import schema as recipe_schema
from ganlab.registry.catalogue import Catalogue


def schema() -> None:
    """Print the JSON schema of recipes, with the options of every installed plugin."""
    click.echo(json.dumps(recipe_schema(Catalogue.of_installed()), indent=2))
