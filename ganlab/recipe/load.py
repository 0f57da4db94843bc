"""Load a recipe: read its layers, lay them over each other, and check the result, all mistakes at once."""

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


def load_recipe(source: str | Path, catalogue: Lookup, overrides: Iterable[str] = (), *, fallback: bool = False) -> Recipe:
    """The recipe that ``source`` means, checked and complete.

    The layers, the lowest first: the defaults, what the recipe extends, the recipe, its ``[fallback]`` (if asked for), and
    ``overrides``. A recipe is checked both as it is and with its fallback, so that neither can fail later.

    Args:
        source: a file, or the name of a shipped recipe.
        catalogue: where components and tricks are looked up. Plugin files that the recipe names are loaded into it.
        overrides: ``"a.b=c"``, as from ``--set``; the value is TOML, or a bare word.
        fallback: lay the recipe's ``[fallback]`` over it; the resolved document has none any more.

    Raises:
        RecipeError: it is wrong; all its mistakes at once.
        UsageError: there is no such recipe, or no fallback in it.
        PluginError: one of its plugin files cannot be loaded.
    """
    path = find_recipe(source)
    shown = str(source)
    mistakes = Mistakes()
    chosen = read_overrides(overrides, mistakes)
    try:
        own = reduce(merge, read_chain(path, mistakes))
        defaults = _defaults(own, chosen, mistakes)
    except Unreadable:
        raise mistakes.error(shown) from None
    asked = merge(own, chosen)
    fragment = asked.get("fallback")
    if fallback and fragment is None:
        raise UsageError(
            f"recipe {shown} has no [fallback]",
            'add one that says what to do where the data cannot be had, for instance: fallback.data = { use = "digits" }',
        )
    for item in asked.table["plugins"].value if "plugins" in asked.table else []:
        catalogue.add_file(Path(item.value))  # what it brings must be known before the rest can be checked
    plain = Resolver(assemble(defaults, own, chosen), catalogue, mistakes).recipe(path)
    other: Recipe | None = None
    if fragment is not None and fragment.is_table:
        other = _with_fallback(defaults, own, fragment, chosen, catalogue, mistakes, path, asked=fallback)
    wanted = other if fallback else plain
    if mistakes or wanted is None:
        raise _error(mistakes, catalogue, shown)
    return wanted


def _defaults(own: Node, chosen: Node, mistakes: Mistakes) -> Node:
    """The layer below everything; empty for a recipe that says ``defaults = false``, as resolved ones do."""
    path = defaults_file()
    said = chosen.get("defaults") or own.get("defaults")
    if path is None or (said is not None and said.value is False):
        return Node({}, own.place)
    return as_layer(read_file(path, _DEFAULTS_ORDER, mistakes), path.parent, mistakes)


def _with_fallback(
    defaults: Node, own: Node, fragment: Node, chosen: Node, catalogue: Lookup, mistakes: Mistakes, path: Path, *, asked: bool
) -> Recipe | None:
    """The recipe with its fallback laid over it.

    Until that is asked for, an override may be meant for what the recipe has and the fallback has not (``data.split`` of a
    data set whose stand-in knows no such option): it is a mistake only once the fallback is really taken.
    """
    found = Mistakes()
    document = assemble(defaults, merge(own.without("fallback"), fragment), chosen.without("fallback"))
    recipe = Resolver(document, catalogue, found).recipe(path)
    for place, text in found.found:
        if asked or place.line is not None or place.source.startswith("--set fallback"):
            mistakes.add(place, text)
    return recipe


def _error(mistakes: Mistakes, catalogue: Lookup, shown: str) -> RecipeError:
    broken = "; ".join(f"plugin '{one.plugin}' ({one.origin}) could not be loaded: {_first_line(one.why)}" for one in catalogue.broken)
    looked_up = any(" there is no " in text for _, text in mistakes.found)
    return mistakes.error(shown, broken if looked_up else "")


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
