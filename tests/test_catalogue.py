"""Finding plugins: who brings what, which names clash, which plugins are broken, and what an option may look like."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
from engine_support import Plugin
from pydantic import Field

from ganlab.registry.catalogue import Catalogue
from ganlab.registry.options import plain, validate_options


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


def test_it_knows_who_brought_what() -> None:
    catalogue = filled(tricks={"mine": Trick, "other": Trick}, losses={"mine": Trick})
    entry = catalogue.find("trick", "mine")
    assert entry is not None
    assert (entry.plugin, entry.origin, entry.summary) == ("first", "first-dist 1.0", "One line of what it is.")
    assert catalogue.names("trick") == ["mine", "other"]
    assert catalogue.find("network", "mine") is None
    assert [(e.kind, e.name) for e in catalogue.entries()] == [("loss", "mine"), ("trick", "mine"), ("trick", "other")]
    assert catalogue.plugins == {"first": "first-dist 1.0"}


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


@dataclass(frozen=True)
class Distribution:
    """As far as it is asked."""

    name: str
    version: str


class Point:
    """An entry point."""

    def __init__(self, name: str, distribution: str, load: Callable[[], object]) -> None:
        self.name, self.value, self.load = name, f"{distribution}.module", load
        self.dist = Distribution(distribution, "1.0")


def installed(monkeypatch: pytest.MonkeyPatch, *points: Point) -> Catalogue:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: list(points) if group == "ganlab" else [])
    return Catalogue.of_installed()


def brings(**brought: dict[str, Callable[..., Any]]) -> Callable[[], object]:
    return lambda: Plugin(**brought)


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
