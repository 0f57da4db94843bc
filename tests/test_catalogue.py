"""Finding plugins: who brings what, which names clash, which plugins are broken, and what an option may look like."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from engine_support import Plugin
from pydantic import Field

import ganlab
from ganlab.catalogue import Catalogue
from ganlab.errors import PluginError, UsageError
from ganlab.options import plain, validate_options


@dataclass
class Trick:
    """One line of what it is.

    And more.
    """

    number: Annotated[int, Field(ge=1)] = 3


def filled(**brought: dict[str, Callable[..., Any]]) -> Catalogue:
    catalogue = Catalogue()
    catalogue.add(Plugin(**brought), "first", "first-dist 1.0")
    return catalogue


def refused(plugin: object, catalogue: Catalogue | None = None) -> str:
    with pytest.raises(PluginError) as caught:
        (catalogue or Catalogue()).add(plugin, "second", "second-dist 2.0")
    return str(caught.value)


def test_it_knows_who_brought_what() -> None:
    catalogue = filled(tricks={"mine": Trick, "other": Trick}, losses={"mine": Trick})
    entry = catalogue.find("trick", "mine")
    assert entry is not None
    assert (entry.plugin, entry.origin, entry.summary) == ("first", "first-dist 1.0", "One line of what it is.")
    assert catalogue.names("trick") == ["mine", "other"]
    assert catalogue.find("network", "mine") is None
    assert [(e.kind, e.name) for e in catalogue.entries()] == [("loss", "mine"), ("trick", "mine"), ("trick", "other")]
    assert catalogue.plugins == {"first": "first-dist 1.0"}


def test_a_name_that_two_plugins_bring_is_refused_and_names_both() -> None:
    catalogue = filled(tricks={"mine": Trick})
    assert refused(Plugin(tricks={"new": Trick, "mine": Trick}), catalogue) == (
        "plugin 'second' (second-dist 2.0) brings a trick 'mine', and so does plugin 'first' (first-dist 1.0)\n"
        "rename one of them, or uninstall the plugin that you do not need"
    )
    assert catalogue.names("trick") == ["mine"]  # all of a plugin, or nothing
    assert "second" not in catalogue.plugins


def test_a_plugin_that_brings_a_name_twice_is_refused() -> None:
    class Twice:
        @ganlab.hookimpl
        def register_tricks(self, register: Any) -> None:
            register("mine", Trick)
            register("mine", Trick)

    assert refused(Twice()).startswith(
        "plugin 'second' (second-dist 2.0) brings a trick 'mine', and so does plugin 'second' (second-dist 2.0)"
    )


def test_a_plugin_that_registers_nothing_is_refused() -> None:
    assert refused(SimpleNamespace()) == (
        "plugin 'second' (second-dist 2.0) registers nothing\n"
        "define a function register_tricks(register), or another register_ hook, marked with @ganlab.hookimpl"
    )


def test_an_unknown_registration_hook_is_refused_with_the_right_word() -> None:
    class Wrong:
        @ganlab.hookimpl
        def register_trikcs(self, register: Any) -> None: ...

    text = refused(Wrong())
    assert text.startswith("plugin 'second' (second-dist 2.0): unknown hook 'register_trikcs'")
    assert "\ndid you mean 'register_tricks'? (choices: register_datasets, register_judges," in text


def test_what_cannot_be_called_is_refused() -> None:
    assert refused(Plugin(losses={"mine": 3})) == "plugin 'second' (second-dist 2.0): loss 'mine' is not something that can be called"  # type: ignore[dict-item]


@dataclass
class Untyped:
    """Its list is unlike any other."""

    enabled: bool = True


def no_annotation(*, width=3):  # type: ignore[no-untyped-def]
    """An option of which nothing is known."""


def unknown_annotation(*, width: NoSuchType = 3) -> None:  # type: ignore[name-defined]  # noqa: F821
    """An annotation that cannot be read."""


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        (Untyped, ": an option may not be called 'enabled', a word of the recipe's own\nrename it"),
        (no_annotation, ": option 'width' has no annotation\nwrite `width: float = ...`, for instance"),
        (unknown_annotation, ": its annotations cannot be read: name 'NoSuchType' is not defined"),
    ],
)
def test_options_that_cannot_be_described_are_refused(factory: Callable[..., Any], text: str) -> None:
    assert refused(Plugin(tricks={"mine": factory})) == f"trick 'mine' of plugin 'second' (second-dist 2.0){text}"


def test_options_come_from_dataclass_fields_and_keyword_only_parameters() -> None:
    @dataclass
    class Fields:
        listed: list[int] = field(default_factory=lambda: [1, 2])
        memory: int = field(default=0, init=False)

    class Keywords:
        def __init__(
            self, spec: Any, more: int = 3, *, path: Path, pair: tuple[float, float] = (0.5, 0.9), word: str | None = None
        ) -> None: ...

    catalogue = filled(tricks={"fields": Fields}, networks={"keywords": Keywords})
    fields, keywords = catalogue.find("trick", "fields"), catalogue.find("network", "keywords")
    assert fields is not None
    assert keywords is not None
    assert validate_options(fields.options, {}) == {"listed": [1, 2]}
    checked = validate_options(keywords.options, {"path": "a/b", "pair": [1, 2]})
    assert checked == {"path": Path("a/b"), "pair": (1.0, 2.0), "word": None}
    assert plain(checked, keywords.options) == {"path": "a/b", "pair": [1.0, 2.0]}


# -- installed plugins -----------------------------------------------------------------------------------------------------


class Point:
    """An entry point."""

    def __init__(self, name: str, distribution: str, load: Callable[[], object]) -> None:
        self.name, self.value, self.load = name, f"{distribution}.module", load
        self.dist = SimpleNamespace(name=distribution, version="1.0")


def installed(monkeypatch: pytest.MonkeyPatch, *points: Point) -> Catalogue:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: list(points) if group == "ganlab" else [])
    return Catalogue.of_installed()


def brings(**brought: dict[str, Callable[..., Any]]) -> Callable[[], object]:
    return lambda: Plugin(**brought)


def broken() -> object:
    raise ImportError("No module named 'numbers2'")


def test_a_broken_plugin_breaks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Point("good", "a-dist", brings(tricks={"mine": Trick}))
    clash = Point("the_clash", "c-dist", brings(tricks={"mine": Trick}))
    catalogue = installed(monkeypatch, Point("bad", "b-dist", broken), clash, good)
    assert catalogue.names("trick") == ["mine"]
    assert [(b.plugin, b.origin) for b in catalogue.broken] == [("bad", "b-dist 1.0"), ("the_clash", "c-dist 1.0")]
    assert catalogue.broken[0].why == "ImportError: No module named 'numbers2'"
    assert catalogue.broken[1].why.startswith(
        "plugin 'the_clash' (c-dist 1.0) brings a trick 'mine', and so does plugin 'good' (a-dist 1.0)"
    )


def test_two_distributions_with_a_plugin_of_one_name_are_both_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [Point("same", name, brings(tricks={f"of_{name[0]}": Trick})) for name in ("b-dist", "a-dist")]
    catalogue = installed(monkeypatch, *points, Point("other", "c-dist", brings(tricks={"mine": Trick})))
    assert catalogue.names("trick") == ["mine"]
    (found,) = catalogue.broken
    owners = "a-dist 1.0 and b-dist 1.0"
    assert (found.plugin, found.why) == ("same", f"two distributions have a plugin of this name: {owners}; uninstall one")


def test_one_installation_that_is_on_the_path_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    point = Point("good", "a-dist", brings(tricks={"mine": Trick}))
    catalogue = installed(monkeypatch, point, Point("good", "a-dist", point.load))
    assert (catalogue.names("trick"), catalogue.broken) == (["mine"], [])


# -- local files -----------------------------------------------------------------------------------------------------------


def test_a_local_file_is_a_plugin(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport ganlab\n"
        "@dataclass\nclass Mine:\n    size: int = 3\n"
        "@ganlab.hookimpl\ndef register_tricks(register):\n    register('mine', Mine)\n"
    )
    catalogue = Catalogue()
    catalogue.add_file(file)
    catalogue.add_file(tmp_path / "." / "mine.py")  # a second time is no clash with itself
    entry = catalogue.find("trick", "mine")
    assert entry is not None
    assert (entry.plugin, entry.origin) == ("mine", str(file))


def test_a_local_file_that_is_not_there_or_raises(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    with pytest.raises(UsageError) as missing:
        Catalogue().add_file(file)
    assert str(missing.value) == f"plugin file {file} does not exist\npaths in `plugins` are relative to the recipe's folder"
    file.write_text("import ganlab\n\ndef helper():\n    return 1 / 0\n\nhelper()\n")
    with pytest.raises(PluginError) as raised:
        Catalogue().add_file(file)
    assert raised.value.message == f"plugin {file} cannot be loaded: ZeroDivisionError: division by zero"
    frames = raised.value.hint.splitlines()
    assert frames[0] == f'  File "{file}", line 6, in <module>'
    assert frames[-1] == "ZeroDivisionError: division by zero"
    text = tmp_path / "mine.txt"
    text.write_text("")
    with pytest.raises(UsageError) as other:
        Catalogue().add_file(text)
    assert str(other.value) == f"plugin file {text} is not a Python file\nits name must end in .py"


def test_a_local_file_with_a_mistake_of_grammar(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def broken(:\n")
    with pytest.raises(PluginError) as caught:
        Catalogue().add_file(file)
    assert caught.value.message.startswith(f"plugin {file} cannot be loaded: SyntaxError: ")
    assert f'File "{file}", line 1' in caught.value.hint


def test_two_local_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Messages and the resolved recipe could not tell them apart."""
    catalogue, files = Catalogue(), []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "mine.py")
        files[-1].write_text(
            f"import ganlab\n@ganlab.hookimpl\ndef register_tricks(register):\n    register('of_{folder}', lambda: None)\n"
        )
    catalogue.add_file(files[0])
    with pytest.raises(PluginError) as caught:
        catalogue.add_file(files[1])
    assert str(caught.value) == f"plugin {files[1]} has the name of plugin 'mine' ({files[0]})\nrename the file"
    assert catalogue.names("trick") == ["of_a"]
