"""The core knows no plugin by name: no text in its code holds a name that only a first-party plugin brings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ganlab.recipe.manual import options_of
from ganlab.registry.catalogue import Catalogue
from ganlab.registry.entry_points import COMMANDS, OPTIONS, find_entry_points

ROOT = Path(__file__).resolve().parent.parent
#: Names of plugins that the core's texts hold as other words.
OTHER_WORDS = {
    "classes": "label classes of the data",
    "modes": "PyTorch's modes, such as no_grad",
    "precision": "of floating-point numbers",
}


def texts(tree: ast.AST) -> Iterator[str]:
    """The string constants of a module or an expression, without docstrings."""
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body]
    docstrings = {id(scope.body[0].value) for scope in scopes if isinstance(scope.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def recorded_sections() -> set[str]:
    """What stands before the slash in the metrics that plugins record: ``adaptive/`` of ``adaptive/updates``."""
    sections = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("count", "record") and node.args:
                sections |= {text.partition("/")[0] + "/" for text in texts(node.args[0]) if re.match(r"\w+/", text)}
    return sections


def plugin_names() -> set[str]:
    """All names that only first-party plugins bring. Options of one word are left out, for these are words of the core too."""
    entries = Catalogue.of_installed().entries(["trick", "metric", "judge"])
    results = {result for entry in entries if entry.kind == "metric" for result in entry.factory.results}
    options = {option.name for entry in entries for option in options_of(entry) if "_" in option.name}
    points = {point.name for group in (COMMANDS, OPTIONS) for point in find_entry_points(group)[0]}
    packages = {path.name for path in (ROOT / "plugins").iterdir() if path.name.startswith("ganlab_")}
    return packages | {entry.name for entry in entries} | results | options | points | recorded_sections()


def pattern_of(names: set[str]) -> re.Pattern[str]:
    """Any of these names as a whole word, with hyphens or underscores, in any case."""
    words = (re.sub("[-_]", "[-_]", name.removesuffix("/")) + ("/" if name.endswith("/") else "(?![a-z0-9])") for name in sorted(names))
    return re.compile(rf"(?<![a-z0-9])(?<![a-z0-9]-)({'|'.join(words)})", re.IGNORECASE)


def test_what_counts_as_a_name() -> None:
    names = plugin_names()
    assert {"ganlab_mlflow", "mlflow", "clamp", "frechet_ratio", "discriminator_loss_below", "tracking-uri", "ui", "adaptive/"} <= names
    pattern = pattern_of(names)
    for text in ("MLFLOW_TRACKING_URI", "MLflow's server", "--tracking-uri", "tracking_uri", "tricks.clamp.margin", "adaptive/", "ui"):
        assert pattern.search(text), text
    for text in ("system-ui", "clamped", "guide", "adaptive"):
        assert not pattern.search(text), text


def test_the_core_names_no_plugin() -> None:
    pattern = pattern_of(plugin_names() - OTHER_WORDS.keys())
    named = []
    for path in sorted((ROOT / "ganlab").rglob("*.py")):
        module = path.relative_to(ROOT / "ganlab").as_posix()
        named += [f"{module}: {match[0]} in {text!r}" for text in texts(ast.parse(path.read_text())) if (match := pattern.search(text))]
    assert named == []
