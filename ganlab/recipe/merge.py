"""Merging of the layers of a recipe.

Tables merge key by key, and the upper layer's values win. If the upper layer has another ``use``, the whole lower table is
dropped, because its options belong to another component. A player's optimizer stays, because it is a separate choice.
"""

from __future__ import annotations

from collections.abc import Callable

from ganlab.recipe.places import Node
from ganlab.roles import ROLES

_COMPONENTS = ("data", "noise", "sampling_noise", *ROLES, "judge", "tracking")
#: Arrays of tables, each table with a name.
LISTED = ("tricks", "metrics")


def merge(lower: Node, upper: Node) -> Node:
    """The document ``upper`` merged over the document ``lower``; neither is changed."""
    table = dict(lower.table)
    for key, node in upper.table.items():
        below = table.get(key)
        table[key] = node if below is None else _merge_key(key, below, node)
    return _joined(lower, upper, table)


def _merge_key(key: str, lower: Node, upper: Node) -> Node:
    if key == "plugins":
        paths = [item.value for item in lower.value]
        return Node([*lower.value, *(item for item in upper.value if item.value not in paths)], upper.place)
    if not (lower.is_table and upper.is_table):
        return upper
    if key in _COMPONENTS:
        return merge_component(lower, upper)
    if key in LISTED:
        return _by_key(lower, upper, merge_component)
    special = {"loss": merge_loss, "train": merge_train, "fallback": merge}
    return special.get(key, merge_tables)(lower, upper)


def _by_key(lower: Node, upper: Node, merge_values: Callable[[Node, Node], Node]) -> Node:
    """Merge two tables: keys of the lower one keep their position, new ones are appended."""
    table = dict(lower.table)
    for key, node in upper.table.items():
        table[key] = merge_values(table[key], node) if key in table else node
    return _joined(lower, upper, table)


def _joined(lower: Node, upper: Node, table: dict[str, Node]) -> Node:
    """A merged table has the place of the upper layer, unless that is ``--set``, which sets single values."""
    return Node(table, lower.place if upper.place.line is None else upper.place)


def merge_tables(lower: Node, upper: Node) -> Node:
    """Key by key, recursively; anything but two tables is replaced."""
    return _by_key(lower, upper, merge_tables) if lower.is_table and upper.is_table else upper


def merge_component(lower: Node, upper: Node) -> Node:
    """The table of a component; a player's optimizer in it is merged separately."""
    if not (lower.is_table and upper.is_table):
        return upper
    if _picks_another(lower, upper):
        merged = Node({"use": upper.table["use"], **upper.table}, upper.place)
    else:
        merged = merge_tables(lower.without("optimizer"), upper.without("optimizer"))
    below, above = lower.get("optimizer"), upper.get("optimizer")
    optimizer = merge_component(below, above) if below and above else above or below
    return merged.with_table(merged.table | {"optimizer": optimizer}) if optimizer else merged


def _picks_another(lower: Node, upper: Node) -> bool:
    """Whether ``upper`` picks another component than ``lower`` does."""
    below, above = lower.get("use"), upper.get("use")
    return below is not None and above is not None and below.plain() != above.plain()


def merge_loss(lower: Node, upper: Node) -> Node:
    """``[loss]`` for both players, or ``[loss.generator]`` and ``[loss.discriminator]``.

    A layer with the loss of one player keeps the other player's loss; a layer with one loss for both replaces both.
    """
    split_below, split_above = (any(role in node.table for role in ROLES) for node in (lower, upper))
    if split_below and not split_above:
        return upper
    if split_above and not split_below:
        lower = lower.with_table(dict.fromkeys(ROLES, lower))
    if not split_above:
        return merge_component(lower, upper)
    return _by_key(lower, upper, merge_component)


def merge_train(lower: Node, upper: Node) -> Node:
    """``steps`` replaces ``epochs``, and the reverse: both are the length of the run."""
    for key, other in (("steps", "epochs"), ("epochs", "steps")):
        if key in upper.table and other not in upper.table:
            lower = lower.without(other)
    return merge_tables(lower, upper)


def assemble(defaults: Node, recipe: Node, overrides: Node) -> Node:
    """The whole document: the recipe over the defaults, and ``--set`` over both.

    The order of tricks is the call order: first the recipe's, then those that ``--set`` adds, last those that only the defaults
    list, because they observe. Metrics have the same order.
    """
    merged = merge(merge(defaults, recipe), overrides)
    for key in LISTED:
        listed = merged.get(key)
        if listed is None or not listed.is_table:
            continue
        of_defaults, of_recipe, of_overrides = (
            node.table[key].table if key in node.table else {} for node in (defaults, recipe, overrides)
        )
        order = [*of_recipe, *(name for name in of_overrides if name not in of_defaults), *of_defaults]
        merged = merged.with_table(merged.table | {key: listed.with_table({name: listed.table[name] for name in order})})
    return merged
