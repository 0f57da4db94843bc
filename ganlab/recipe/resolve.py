"""From a merged document to a recipe: every component is looked up, every option is checked, every mistake is listed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from ganlab.errors import closest, did_you_mean
from ganlab.recipe.choices import TRACKING, Choice, PlayerChoice, Recipe
from ganlab.recipe.choose import Chooser, completed_table
from ganlab.recipe.combinations import impossible_combinations
from ganlab.recipe.merge import LISTED
from ganlab.recipe.places import Mistakes, Node, Place, show
from ganlab.recipe.read import NAME, name_of
from ganlab.recipe.tables import EVALUATION_OPTIONS, SCHEDULE_OPTIONS, TRAIN_OPTIONS, Evaluation, Schedule, Train
from ganlab.registry.entry import Kind
from ganlab.registry.lookup import Lookup
from ganlab.registry.options import plain
from ganlab.roles import ROLES

TOP_LEVEL = (
    "name", "description", "extends", "defaults", "plugins", "data", "noise", "sampling_noise", *ROLES, "loss",
    "schedule", "tricks", "train", "evaluation", "judge", "metrics", "tracking", "fallback",
)  # fmt: skip

Table = TypeVar("Table", Schedule, Train, Evaluation)


@dataclass
class Resolver:
    """Turns one merged document into a recipe. Use it once.

    Attributes:
        root: the merged document.
        catalogue: where components are looked up.
        mistakes: the list that mistakes are added to.
        document: the resolved tables, filled step by step.
        misspelt: tables that seem to be present under a wrong name; that they are missing is not reported as a second mistake.
    """

    root: Node
    catalogue: Lookup
    mistakes: Mistakes
    document: dict[str, Any] = field(default_factory=dict)
    misspelt: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._chooser = Chooser(self.catalogue, self.mistakes)

    def recipe(self, path: Path) -> Recipe | None:
        """The recipe, or None if there are mistakes."""
        before = len(self.mistakes.texts)
        self._unknown_tables()
        name, description = self._text("name", name_of(path)), self._text("description", "")
        if "name" in self.root.table and not NAME.fullmatch(name):
            self.mistakes.add(self.root.table["name"].place, f"name may have letters, digits, _ and - in it, not {show(name)}")
        self.document |= {"name": name, "description": description}
        plugins = (
            [self.catalogue.add_file(Path(item.value)) for item in self.root.table["plugins"].value] if "plugins" in self.root.table else []
        )
        if plugins:
            self.document["plugins"] = [str(file.path) for file in plugins]
        data, noise = self._component("dataset", "data"), self._component("noise", "noise")
        sampling_noise = self._component("noise", "sampling_noise") if "sampling_noise" in self.root.table else None
        players = {role: self._player(role) for role in ROLES}
        losses = self._losses()
        schedule = self._table("schedule", Schedule, SCHEDULE_OPTIONS)
        tricks = self._listed("trick")
        train = self._table("train", Train, TRAIN_OPTIONS)
        evaluation = self._table("evaluation", Evaluation, EVALUATION_OPTIONS)
        metrics, judge = self._listed("metric"), self._optional("judge", "judge")
        tracker = self._tracker()
        for key_path, text in impossible_combinations(schedule, None if "train" in self.misspelt else train):
            self.mistakes.add(self.root.at(key_path).place, text)
        fallback = self.root.get("fallback")
        if fallback is not None and fallback.is_table:
            self.document["fallback"] = _as_written(fallback)
        generator, discriminator = players["generator"], players["discriminator"]
        if len(self.mistakes.texts) > before:
            return None
        if not (data and noise and generator and discriminator and losses and schedule and train and evaluation):
            return None
        return Recipe(
            name, path, description, plugins, data, noise, generator, discriminator, losses, schedule,
            tricks + ([tracker] if tracker else []), train, self.document, fallback is not None,
            evaluation, metrics, judge, sampling_noise, self._remedies(),
        )  # fmt: skip

    # -- the document's own keys -------------------------------------------------------------------------------------------

    def _unknown_tables(self) -> None:
        for key, node in self.root.table.items():
            if key in TOP_LEVEL:
                continue
            right_table = next((table for table, model in _ENGINE_TABLES.items() if key in model.model_fields), None)
            if right_table and not node.is_table:
                self.mistakes.add(node.place, f"'{key}' belongs in [{right_table}]")
            else:
                kind = "table" if node.is_table or (isinstance(node.value, list) and all(item.is_table for item in node.value)) else "key"
                self.mistakes.add(node.place, f"unknown {kind} '{key}'; {did_you_mean(key, TOP_LEVEL)}")
                self.misspelt.add(closest(key, TOP_LEVEL) or "")
        defaults = self.root.get("defaults")
        if defaults and not isinstance(defaults.value, bool):
            self.mistakes.add(defaults.place, f"defaults must be true or false, not {show(defaults.plain())}")
        fallback = self.root.get("fallback")
        if fallback and not fallback.is_table:
            self.mistakes.add(fallback.place, f"fallback must be a table, not {show(fallback.plain())}")

    def _text(self, key: str, default: str) -> str:
        node = self.root.get(key)
        if node is None:
            return default
        if not isinstance(node.value, str):
            self.mistakes.add(node.place, f"{key} must be text in quotes, not {show(node.plain())}")
            return default
        return node.value

    def _table(self, name: str, table: type[Table], model: type[pydantic.BaseModel]) -> Table | None:
        node = self.root.get(name) or Node({}, self.root.place)
        if not node.is_table:
            self.mistakes.add(node.place, f"{name} must be a table, not {show(node.plain())}")
            return None
        options = self._chooser.options(node, model, name)
        if options is None:
            return None
        self.document[name] = plain(options, model)
        return table(**options)

    # -- components --------------------------------------------------------------------------------------------------------

    def _component(self, kind: Kind, name: str, parent: Node | None = None, *, other_keys: tuple[str, ...] = ()) -> Choice | None:
        """The component of the required table ``name`` in the table ``parent``; ``other_keys`` are keys of it that are not options."""
        parent = parent or self.root
        node = parent.get(name.rpartition(".")[2])
        if node is None:
            if name not in self.misspelt:
                choices = self._chooser.choices_text(kind)
                self.mistakes.add(parent.place, f"[{name}] is missing: it says which {kind} to use ({choices})")
            return None
        if not node.is_table:
            self.mistakes.add(node.place, f"{name} must be a table, not {show(node.plain())}")
            return None
        choice = self._chooser.choose(kind, name, node, other_keys=other_keys)
        if choice:
            self.document[name] = completed_table(choice)
        return choice

    def _player(self, role: str) -> PlayerChoice | None:
        network = self._component("network", role, other_keys=("optimizer",))
        node = self.root.get(role)
        if node is None or not node.is_table:
            return None
        if any(key != "optimizer" and closest(key, ["optimizer"]) for key in node.table):
            self.misspelt.add(f"{role}.optimizer")
        optimizer = self._component("optimizer", f"{role}.optimizer", node)
        if optimizer and network:
            self.document[role]["optimizer"] = self.document.pop(f"{role}.optimizer")
        return PlayerChoice(network, optimizer) if network and optimizer else None

    def _losses(self) -> dict[str, Choice]:
        """The loss of each role; empty if one is missing or wrong."""
        node = self.root.get("loss")
        roles = [role for role in ROLES if node is not None and role in node.table]
        if node is None or not roles:
            both = self._component("loss", "loss")
            return dict.fromkeys(ROLES, both) if both else {}
        for key in node.table:
            if key not in ROLES:
                self.mistakes.add(
                    node.table[key].place,
                    f"loss.{key} cannot go with [loss.{roles[0]}]: "
                    "write one [loss] for both players, or [loss.generator] and [loss.discriminator]",
                )
        losses = {role: self._component("loss", f"loss.{role}", node) for role in ROLES}
        self.document["loss"] = {role: self.document.pop(f"loss.{role}", {}) for role in ROLES}
        return {role: choice for role, choice in losses.items() if choice} if all(losses.values()) else {}

    # -- tricks, metrics, and what can be switched off ---------------------------------------------------------------------

    def _listed(self, kind: Kind) -> list[Choice]:
        """The choices of ``[[tricks]]`` or ``[[metrics]]`` that are not switched off."""
        key = f"{kind}s"
        node = self.root.get(key)
        choices = []
        documents = []
        for name, item in (node.table if node else {}).items():
            label = f"{key}.{name}"
            if not item.is_table:
                self.mistakes.add(item.place, f"{label} must be a table, not {show(item.plain())}")
            elif "use" not in item.table:
                self.mistakes.add(item.place, _without_use(kind, name, item.place, node, self._chooser.choices_text(kind)))
            elif not NAME.fullmatch(name) and self.catalogue.find(kind, name) is None and item.place.line is None:
                self.mistakes.add(item.place, f"a {kind}'s name may have letters, digits, _ and - in it, not {show(name)}")
            else:
                choice, completed = self._chooser.choose_switchable(kind, label, item, name)
                choices += [choice] if choice else []
                documents.append({"name": name, **completed} if completed.get("use") != name else completed)
        if documents:
            self.document[key] = documents
        return choices

    def _optional(self, kind: Kind, key: str) -> Choice | None:
        """The choice of a table that may be missing or switched off: ``[tracking]`` or ``[judge]``."""
        node = self.root.get(key)
        if node is None:
            return None
        if not node.is_table:
            self.mistakes.add(node.place, f"{key} must be a table, not {show(node.plain())}")
            return None
        choice, completed = self._chooser.choose_switchable(kind, key, node, key)
        self.document[key] = completed
        return choice

    def _tracker(self) -> Choice | None:
        tricks = self.root.get("tricks")
        if TRACKING in self.root.table and tricks and TRACKING in tricks.table:
            place = tricks.table[TRACKING].place
            self.mistakes.add(place, f"a trick cannot be named '{TRACKING}': that is the name of the one in [{TRACKING}]")
        return self._optional("trick", TRACKING)

    def _remedies(self) -> tuple[str, ...]:
        """The registered tricks that declare that they help against numbers that are not finite."""
        entries = [self.catalogue.find("trick", name) for name in self.catalogue.names("trick")]
        return tuple(entry.name for entry in entries if entry and getattr(entry.factory, "prevents_non_finite", False))


_ENGINE_TABLES = {"schedule": SCHEDULE_OPTIONS, "train": TRAIN_OPTIONS, "evaluation": EVALUATION_OPTIONS}


def _without_use(kind: Kind, name: str, place: Place, listed: Node | None, choices: str) -> str:
    """The mistake of a trick or metric without ``use``: the file left it out, or ``--set`` names one that the recipe does not have."""
    if place.line is not None:
        return f"{kind} '{name}' does not say which one it is: add use = \"...\" ({choices})"
    names = [other for other, item in (listed.table if listed else {}).items() if "use" in item.table]
    suggestion = did_you_mean(name, names) if names else "it has none"
    return f"the recipe has no {kind} '{name}'; {suggestion}; --set {kind}s.{name}.use=... adds one"


def _as_written(fallback: Node) -> dict[str, Any]:
    """The table ``[fallback]`` as it was written, with its tricks and metrics as lists again."""
    table: dict[str, Any] = fallback.plain()
    for key in LISTED:
        by_name = table.get(key)
        if isinstance(by_name, dict):
            table[key] = [{"name": name, **item} if isinstance(item, dict) else item for name, item in by_name.items()]
    return table
