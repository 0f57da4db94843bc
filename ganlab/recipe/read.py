"""From files to layers: TOML becomes a tree with places, ``extends`` is followed, tricks and metrics are keyed by name."""

from __future__ import annotations

import datetime
import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

from ganlab.errors import closest
from ganlab.recipe.locate import locate
from ganlab.recipe.merge import LISTED
from ganlab.recipe.places import Mistakes, Node, Place, Way, display, dotted, show
from ganlab.recipe.shipped import is_bare_name, missing_recipe, shipped_recipes
from ganlab.redaction import remember_secrets
from ganlab.storage.reading import NESTED, RECIPE, parse_toml, read_bytes

DEEPEST = 16  # levels of nested tables and lists; more would exhaust Python's stack
NAME = re.compile(r"[A-Za-z0-9_-]+")  # of a trick: a key of the recipe, of `--set`, and of the checkpoint

#: Plain words for frequent mistakes. Other messages of tomllib are shown as they are.
_PLAIN_WORDS = (
    ("Expected '=' after a key", "a key must be followed by = and its value"),
    ("Expected newline or end of document", "unexpected text after the value; text needs quotes"),
    ("Invalid value", "the value is not valid; text needs quotes"),
    ("Cannot overwrite a value", "this key is set twice"),
    ("Illegal character", "text is not closed with a quote in its line, or has a character that TOML forbids"),
    ("Unescaped '\\' in a string", "write \\\\ for a backslash, or use single quotes"),
)


def name_of(path: Path) -> str:
    """The name of a recipe without ``name``: its file's, reduced to letters, digits, _ and -.

    >>> name_of(Path("mine.toml")), name_of(Path("my ring, v2.toml")), name_of(Path("Größe.toml")), name_of(Path("Кольцо.toml"))
    ('mine', 'my_ring_v2', 'Gro_e', 'recipe')
    """
    plain = unicodedata.normalize("NFKD", path.stem).encode("ascii", "replace").decode()
    return "_".join(NAME.findall(plain)).strip("_") or "recipe"


class Unreadable(Exception):
    """A file cannot be read as TOML; its mistake is in the list."""


def read_file(path: Path, order: int, mistakes: Mistakes) -> Node:
    """A TOML file as a tree with places.

    Raises:
        Unreadable: it cannot be opened or is not TOML; ``mistakes`` says so.
    """
    source = display(path)
    try:
        text = read_bytes(path, RECIPE, follow=True).decode("utf-8-sig")  # some editors on Windows write a byte order mark
    except OSError as error:
        mistakes.add(Place(source, None, order), f"cannot be read: {error.strerror or error}")
        raise Unreadable from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        mistakes.add(Place(source, line, order), "this is not UTF-8 text")
        raise Unreadable from error
    try:
        document = parse_toml(text)
    except ValueError as error:
        line, what = plain_toml_error(error, text)
        mistakes.add(Place(source, line, order), f"this is not TOML: {what}")
        raise Unreadable from error
    if depth(document) > DEEPEST:
        mistakes.add(Place(source, 1, order), f"lists and tables are nested more than {DEEPEST} levels deep")
        raise Unreadable
    remember_secrets(document)  # an error may quote any value
    tree = _tree(document, (), locate(text), Place(source, 1, order))
    refuse_values(tree, mistakes)
    return tree


def plain_toml_error(error: Exception, text: str) -> tuple[int, str]:
    """The line of the mistake that tomllib found in ``text``, and the mistake in plain words with its column."""
    message = str(error)
    if message == NESTED:
        return 1, f"lists and tables are nested more than {DEEPEST} levels deep"
    if not isinstance(error, tomllib.TOMLDecodeError):
        return 1, "a whole number has too many digits"
    what, _, where = message.partition(" (at ")
    what = next((words for start, words in _PLAIN_WORDS if what.startswith(start)), what[:1].lower() + what[1:])
    position = re.match(r"line (\d+), column (\d+)\)", where)
    if position is None:
        return max(1, len(text.splitlines())), f"{what} (at the end)"
    return int(position[1]), f"{what} (column {position[2]})"


def depth(value: Any) -> int:
    """The number of levels of nested tables and lists."""
    deepest, stack = 0, [(value, 0)]
    while stack:
        item, depth = stack.pop()
        deepest = max(deepest, depth)
        below = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        stack.extend((child, depth + 1) for child in below)
    return deepest


def _tree(value: Any, path: Way, lines: dict[Way, int], above: Place) -> Node:
    place = Place(above.source, lines[path], above.order) if path in lines else above
    if isinstance(value, dict):
        return Node({key: _tree(child, (*path, key), lines, place) for key, child in value.items()}, place)
    if isinstance(value, list):
        return Node([_tree(child, (*path, index), lines, place) for index, child in enumerate(value)], place)
    return Node(value, place)


def tree_of(value: Any, place: Place) -> Node:
    """A plain value as a tree in which all nodes have the same place."""
    return _tree(value, (), {}, place)


def refuse_values(tree: Node, mistakes: Mistakes) -> None:
    """List the values that TOML allows and a recipe does not: dates, and integers with more than 64 bits."""
    for path, leaf in tree.leaves():
        if isinstance(leaf.value, datetime.date | datetime.time):
            mistakes.add(leaf.place, f"{dotted('', path)} is a date, which no option accepts; put quotes around it if it is text")
            leaf.value, leaf.refused = str(leaf.value), True
        elif isinstance(leaf.value, int) and not -(2**63) <= leaf.value < 2**63:
            mistakes.add(leaf.place, f"{dotted('', path)} is too large for a whole number of TOML (64 bits)")
            leaf.value, leaf.refused = 0, True


def read_chain(path: Path, mistakes: Mistakes) -> list[Node]:
    """A recipe and all recipes that it extends, the lowest layer first.

    Raises:
        Unreadable: one of the files cannot be read.
    """
    layers: list[Node] = []
    chain: list[Path] = []
    file: Path | None = path
    while file is not None:
        if file.resolve() in [seen.resolve() for seen in chain]:
            names = " -> ".join(display(seen) for seen in [*chain, file])
            mistakes.add(layers[0].at(("extends",)).place, f"`extends` forms a cycle: {names}")
            raise Unreadable
        layer = read_file(file, len(chain), mistakes)
        chain.append(file)
        layer = as_layer(layer, file.absolute().parent, mistakes)
        file = _extended(layer, file, mistakes)
        layers.insert(0, layer if len(chain) == 1 else layer.without("name"))
    return [layer.without("extends") for layer in layers]


def _extended(layer: Node, path: Path, mistakes: Mistakes) -> Path | None:
    """The file that a layer extends, if any."""
    node = layer.get("extends")
    if node is None:
        return None
    word = node.value
    if not isinstance(word, str) or not word:
        mistakes.add(node.place, f"extends must be the name of a shipped recipe or a file in quotes, not {show(node.plain())}")
        raise Unreadable
    file = shipped_recipes().get(word, path.parent / word) if is_bare_name(word) else path.parent / word
    if not file.is_file():
        mistakes.add(node.place, f"extends: {missing_recipe(word, Path(word) if is_bare_name(word) else file)}")
        raise Unreadable
    return file


def as_layer(tree: Node, folder: Path, mistakes: Mistakes) -> Node:
    """A document that is ready to merge: tricks and metrics keyed by name, paths of plugin files absolute, checks of single layers done.

    Args:
        tree: the document; one from ``--set`` has its tricks and metrics keyed by name already.
        folder: the folder that paths of plugin files are relative to.
    """
    table = dict(tree.table)
    for key in LISTED:
        if key in table:
            table[key] = _by_name(key, table[key], mistakes)
    if "plugins" in table:
        table["plugins"] = _absolute(table["plugins"], folder, mistakes)
    train = table.get("train")
    if train and "steps" in train.table and "epochs" in train.table:
        mistakes.add(train.table["epochs"].place, "train has both `steps` and `epochs`: keep one of them")
    fallback = table.get("fallback")
    if fallback and fallback.is_table:
        for key in ("extends", "plugins", "fallback", "name", "defaults"):
            if key in fallback.table:
                mistakes.add(fallback.table[key].place, f"[fallback] cannot have '{key}': it changes tables of the recipe")
        table["fallback"] = as_layer(fallback.without("extends", "plugins", "fallback", "name", "defaults"), folder, mistakes)
    return tree.with_table(table)


def _by_name(key: str, listed: Node, mistakes: Mistakes) -> Node:
    """The tables ``[[tricks]]`` or ``[[metrics]]``, keyed by name."""
    if listed.is_table and listed.place.line is None:  # `--set tricks.clamp.margin=...`
        return listed
    if not isinstance(listed.value, list):
        mistakes.add(listed.place, f"{key} are a list: write [[{key}]], with two brackets, before each of them")
        return listed.with_table({})
    by_name: dict[str, Node] = {}
    for index, item in enumerate(listed.value):
        name = _name_of(key, item, index, mistakes)
        if name is None:
            continue
        if name in by_name:
            mistakes.add(
                item.place,
                f"there are two {key} named '{name}' (the first is at {by_name[name].place}): "
                f'give one of them a name of its own, such as name = "{name}_2"',
            )
            continue
        by_name[name] = item.without("name")
    return listed.with_table(by_name)


def _name_of(key: str, item: Node, index: int, mistakes: Mistakes) -> str | None:
    if not item.is_table:
        mistakes.add(item.place, f"{key}[{index}] must be a table, not {show(item.plain())}")
        return None
    name = "name" if "name" in item.table else "use"
    node = item.get(name)
    if node is None:
        mistakes.add(item.place, f'[[{key}]] number {index + 1} must say which {key.removesuffix("s")} it is: use = "..."')
        return None
    if not isinstance(node.value, str):
        mistakes.add(node.place, f"{key}[{index}].{name} must be text in quotes, not {show(node.plain())}")
        return None
    if name == "name" and not NAME.fullmatch(node.value):
        mistakes.add(node.place, f"{key}[{index}].name may have letters, digits, _ and - in it, not {show(node.value)}")
        return None
    return str(node.value)


def _absolute(plugins: Node, folder: Path, mistakes: Mistakes) -> Node:
    if not isinstance(plugins.value, list) or any(not isinstance(item.value, str) for item in plugins.value):
        mistakes.add(plugins.place, f"plugins must be a list of files in quotes, not {show(plugins.plain())}")
        return Node([], plugins.place)
    files = []
    for item in plugins.value:
        path = folder / item.value
        if path.is_file():
            files.append(Node(str(path.resolve()), item.place))
            continue
        suggestion = closest(path.name, [file.name for file in path.parent.glob("*.py")])
        more = f"did you mean {display(path.parent / suggestion)}?" if suggestion else "paths are relative to the recipe's folder"
        mistakes.add(item.place, f"plugin file {show(item.value)} does not exist; {more}")
    return Node(files, plugins.place)
