"""First-party plugins have no privileges: any of them, lifted into a distribution of its own, is found and brings what it brought."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import Server

import ganlab
from ganlab.registry.catalogue import Catalogue
from ganlab.registry.entry_points import COMMANDS, find_entry_points

PLUGINS = Path(__file__).resolve().parent.parent / "plugins"
POINTS = {
    point.name: point.value for point in importlib.metadata.entry_points(group="ganlab") if point.dist and point.dist.name == "ganlab"
}
PUBLIC = {
    "child_process", "commands", "components", "errors", "evaluation", "hookspecs", "pictures", "recipe", "redaction", "tensors", "testing",
}  # fmt: skip


def imports(package: str) -> Iterator[tuple[str, str, str]]:
    """All that a package's modules import, anywhere in them: the file, the module, and the name or ``""``."""
    for file in sorted((PLUGINS / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((file.name, alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, file
                yield from ((file.name, node.module or "", alias.name) for alias in node.names)


def is_public(module: str, name: str) -> bool:
    """Whether a plugin may import it from ganlab: names of ``ganlab`` itself, and whatever a public module has without an underscore."""
    if module == "ganlab":
        return name in ("", *ganlab.__all__) or name in PUBLIC
    first, _, rest = module.removeprefix("ganlab.").partition(".")
    return first in PUBLIC and not rest and not name.startswith("_") and (not name or hasattr(importlib.import_module(module), name))


def test_all_plugins_are_looked_at() -> None:
    assert set(POINTS.values()) == {path.name for path in PLUGINS.iterdir() if path.name.startswith("ganlab_")}


@pytest.mark.parametrize("package", POINTS.values())
def test_a_plugin_imports_public_names_only_and_none_of_another(package: str) -> None:
    found = list(imports(package))
    assert found
    for file, module, name in found:
        top = module.partition(".")[0]
        if top == "ganlab":
            assert is_public(module, name), f"{package}/{file} imports {name} of {module}, which is not public"
        else:
            assert top == package or not top.startswith("ganlab_"), f"{package}/{file} imports {module}, another plugin"


def test_what_is_not_public_is_seen() -> None:
    assert not is_public("ganlab.runs.run", "Run")
    assert not is_public("ganlab", "engine")
    assert not is_public("ganlab.recipe.words", "sentences")
    assert not is_public("ganlab.pictures", "_shown")
    assert is_public("ganlab", "Run")
    assert is_public("ganlab.pictures", "save_png")


#: Hides ganlab's own entry points and every other plugin, and says what the catalogue finds then.
ALONE = """
import importlib.metadata, json, sys
package, site = sys.argv[1:]
sys.path.insert(0, site)

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("ganlab_") and name.partition(".")[0] != package:
            raise ModuleNotFoundError(f"{name} is another plugin", name=name)

sys.meta_path.insert(0, Hidden())
found = importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **given: [point for point in found(**given) if point.dist.name != "ganlab"]

from ganlab.registry.catalogue import Catalogue
catalogue = Catalogue.of_installed()
print(json.dumps({
    "where": sys.modules[package].__file__ if package in sys.modules else "",
    "broken": [one.why for one in catalogue.broken],
    "plugins": catalogue.plugins,
    "commands": [point.load().help for point in importlib.metadata.entry_points(group="ganlab.commands")],
    "entries": [[entry.kind, entry.name, sorted(entry.options.model_fields)] for entry in catalogue.entries()],
}))
"""


@pytest.mark.parametrize("plugin", POINTS)
def test_a_plugin_that_is_lifted_brings_what_it_brought(plugin: str, tmp_path: Path, server: Server) -> None:
    package, site = POINTS[plugin], tmp_path / "site"
    shutil.copytree(PLUGINS / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = site / f"lifted_{plugin}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lifted-{plugin}\nVersion: 1.0\nRequires-Dist: ganlab\n")
    commands = [point for point in find_entry_points(COMMANDS)[0] if point.value.startswith(f"{package}.")]
    points = "".join(f"{point.name} = {point.value}\n" for point in commands)
    (metadata / "entry_points.txt").write_text(f"[ganlab]\n{plugin} = {package}\n[ganlab.commands]\n{points}")
    (tmp_path / "alone.py").write_text(ALONE)
    ended = server.python(tmp_path, str(tmp_path / "alone.py"), package, str(site), environment={})
    assert ended.code == 0, ended.text
    found = json.loads(ended.text)
    here = [entry for entry in Catalogue.of_installed().entries() if entry.plugin == plugin]
    assert found["where"] == str(site / package / "__init__.py")
    assert found["broken"] == []
    assert found["commands"] == [point.load().help for point in commands]
    assert found["plugins"] == {plugin: f"lifted-{plugin} 1.0"}
    assert found["entries"] == [[entry.kind, entry.name, sorted(entry.options.model_fields)] for entry in here]
    assert here
