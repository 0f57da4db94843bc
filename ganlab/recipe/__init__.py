"""Recipes: one TOML file says everything about an experiment, and is refused when it is loaded, not at step 9000.

:func:`load_recipe` is the way in; what it returns is checked and complete.
"""

from __future__ import annotations

from ganlab.recipe.choices import Choice, PlayerChoice, Recipe
from ganlab.recipe.differences import NOT_GROUPED, is_part_of
from ganlab.recipe.load import load_recipe
from ganlab.recipe.places import display
from ganlab.recipe.schema import schema
from ganlab.recipe.shipped import describe_recipe, shipped_recipes
from ganlab.recipe.tables import Evaluation, Schedule, Train
from ganlab.recipe.write import flatten, in_toml, to_toml
from ganlab.registry.entry import PluginFile
from ganlab.registry.lookup import Lookup

__all__ = [
    "NOT_GROUPED",
    "Choice",
    "Evaluation",
    "Lookup",
    "PlayerChoice",
    "PluginFile",
    "Recipe",
    "Schedule",
    "Train",
    "describe_recipe",
    "display",
    "flatten",
    "in_toml",
    "is_part_of",
    "load_recipe",
    "schema",
    "shipped_recipes",
    "to_toml",
]
