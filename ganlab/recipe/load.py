"""Load a recipe: read its layers, merge them, check the result, and report all mistakes at once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from pathlib import Path

from ganlab.errors import RecipeError, UsageError
from ganlab.recipe.choices import Recipe
from ganlab.recipe.merge import assemble, merge
from ganlab.recipe.overrides import read_overrides
from ganlab.recipe.places import OVERRIDES, Mistakes, Node
from ganlab.recipe.read import Unreadable, as_layer, read_chain, read_file
from ganlab.recipe.resolve import Resolver
from ganlab.recipe.shipped import defaults_file, find_recipe
from ganlab.registry.lookup import Lookup

_DEFAULTS_ORDER = OVERRIDES - 1  # mistakes in the defaults come after those in the recipe's own files


def load_recipe(
    source: str | Path, catalogue: Lookup, overrides: Iterable[str] = (), *, fallback: bool = False, grid: Iterable[str] = ()
) -> Recipe:
    """Load the recipe ``source``, checked and complete.

    The layers, the lowest first: the defaults, the recipes that it extends, the recipe, its ``[fallback]`` (if ``fallback``), and
    ``overrides``. A recipe is checked without and with its fallback, so a mistake in either is reported now.

    Args:
        source: a file, or the name of a shipped recipe.
        catalogue: where components and tricks are looked up. The recipe's plugin files are loaded into it.
        overrides: ``"a.b=c"``, as from ``--set``; the value is TOML, or a bare word.
        fallback: apply the recipe's ``[fallback]``; the resolved document then has none.
        grid: more overrides, one value of each ``--grid``; mistakes name that option.

    Raises:
        RecipeError: the recipe has mistakes; all of them at once.
        UsageError: there is no such recipe, or it has no fallback.
        PluginError: a plugin file cannot be loaded.
    """
    path = find_recipe(source)
    source_text = str(source)
    mistakes = Mistakes()
    override_layer = read_overrides(overrides, grid, mistakes)
    try:
        recipe_layer = reduce(merge, read_chain(path, mistakes))
        defaults = _defaults(recipe_layer, override_layer, mistakes)
    except Unreadable:
        raise mistakes.error(source_text) from None
    merged = merge(recipe_layer, override_layer)
    fallback_table = merged.get("fallback")
    if fallback and fallback_table is None:
        raise UsageError(
            f"recipe {source_text} has no [fallback]",
            'add one for the case that the data is not available, for instance: fallback.data = { use = "digits" }',
        )
    for item in merged.table["plugins"].value if "plugins" in merged.table else []:
        catalogue.add_file(Path(item.value))  # before the rest is checked, which may use its components
    as_it_is = Resolver(assemble(defaults, recipe_layer, override_layer), catalogue, mistakes).recipe(path)
    with_fallback: Recipe | None = None
    if fallback_table is not None and fallback_table.is_table:
        with_fallback = _with_fallback(
            defaults, recipe_layer, fallback_table, override_layer, catalogue, mistakes, path, requested=fallback
        )
    recipe = with_fallback if fallback else as_it_is
    if mistakes or recipe is None:
        raise _error(mistakes, catalogue, source_text)
    return recipe


def _defaults(recipe_layer: Node, override_layer: Node, mistakes: Mistakes) -> Node:
    """The lowest layer; empty for a recipe with ``defaults = false``, such as a resolved one."""
    path = defaults_file()
    switch = override_layer.get("defaults") or recipe_layer.get("defaults")
    if not path.is_file() or (switch is not None and switch.value is False):
        return Node({}, recipe_layer.place)
    return as_layer(read_file(path, _DEFAULTS_ORDER, mistakes), path.parent, mistakes)


def _with_fallback(
    defaults: Node,
    recipe_layer: Node,
    fallback_table: Node,
    override_layer: Node,
    catalogue: Lookup,
    mistakes: Mistakes,
    path: Path,
    *,
    requested: bool,
) -> Recipe | None:
    """The recipe with its fallback applied.

    An override may belong to a component that the fallback replaces, such as ``data.split`` of a data set whose substitute has no
    such option. That is a mistake only if the fallback is ``requested``.
    """
    fallback_mistakes = Mistakes()
    document = assemble(defaults, merge(recipe_layer.without("fallback"), fallback_table), override_layer.without("fallback"))
    recipe = Resolver(document, catalogue, fallback_mistakes).recipe(path)
    own_places = {leaf.place for _, leaf in fallback_table.leaves()}
    for (place, text), missing_component in fallback_mistakes.texts.items():
        if requested or place.line is not None or place in own_places:
            mistakes.add(place, text, missing_component=missing_component)
    return recipe


def _error(mistakes: Mistakes, catalogue: Lookup, source_text: str) -> RecipeError:
    """All mistakes as one error; it lists the broken plugins if a component was not found."""
    broken = "; ".join(f"plugin '{each.plugin}' ({each.origin}) could not be loaded: {each.reason}" for each in catalogue.broken)
    return mistakes.error(source_text, broken if mistakes.missing_component else "")
