"""From a merged document to a recipe: every component looked up, every option checked, every mistake noted."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import pydantic

from ganlab.errors import GanlabError, PluginError, closest, did_you_mean
from ganlab.recipe.choices import TABLES_OF, Choice, PlayerChoice, Recipe
from ganlab.recipe.combinations import impossible
from ganlab.recipe.merge import LISTED
from ganlab.recipe.places import Mistakes, Node, Place, show
from ganlab.recipe.read import NAME, name_of
from ganlab.recipe.tables import EVALUATION_OPTIONS, SCHEDULE_OPTIONS, TRAIN_OPTIONS, Evaluation, Schedule, Train
from ganlab.recipe.words import sentences
from ganlab.registry.entry import Kind
from ganlab.registry.lookup import Lookup
from ganlab.registry.options import plain, validate_options, why_not_options

TOP_LEVEL = (
    "name", "description", "extends", "defaults", "plugins", "data", "noise", "sampling_noise", "generator", "discriminator", "loss",
    "schedule", "tricks", "train", "evaluation", "judge", "metrics", "tracking", "fallback",
)  # fmt: skip
ROLES = ("generator", "discriminator")

Table = TypeVar("Table", Schedule, Train, Evaluation)


@dataclass
class Resolver:
    """Turns one merged document into a recipe. Use it once.

    Attributes:
        root: the merged document.
        catalogue: where components are looked up.
        mistakes: where what is wrong is noted.
        document: the resolved tables, as they are completed.
        misspelt: tables that seem to be there under a wrong name; it is no second mistake that they are missing.
    """

    root: Node
    catalogue: Lookup
    mistakes: Mistakes
    document: dict[str, Any] = field(default_factory=dict)
    misspelt: set[str] = field(default_factory=set)

    def recipe(self, path: Path) -> Recipe | None:
        """The recipe, or None when there are mistakes."""
        before = len(self.mistakes.found)
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
        sampling = self._component("noise", "sampling_noise") if "sampling_noise" in self.root.table else None
        players = {role: self._player(role) for role in ROLES}
        losses = self._losses()
        schedule = self._table("schedule", Schedule, SCHEDULE_OPTIONS)
        tricks = self._listed("trick")
        train = self._table("train", Train, TRAIN_OPTIONS)
        evaluation = self._table("evaluation", Evaluation, EVALUATION_OPTIONS)
        metrics, judge = self._listed("metric"), self._alone("judge", "judge")
        tracker = self._tracker()
        for where, text in impossible(schedule, None if "train" in self.misspelt else train):
            self.mistakes.add(self.root.at(where).place, text)
        fallback = self.root.get("fallback")
        if fallback is not None and fallback.is_table:
            self.document["fallback"] = _fragment(fallback)
        generator, discriminator = players["generator"], players["discriminator"]
        if len(self.mistakes.found) > before:
            return None
        if not (data and noise and generator and discriminator and losses and schedule and train and evaluation):
            return None
        return Recipe(
            name, path, description, plugins, data, noise, generator, discriminator, losses, schedule,
            tricks + ([tracker] if tracker else []), train, self.document, fallback is not None,
            evaluation, metrics, judge, sampling,
        )  # fmt: skip

    # -- the document's own keys -------------------------------------------------------------------------------------------

    def _unknown_tables(self) -> None:
        for key, node in self.root.table.items():
            if key in TOP_LEVEL:
                continue
            home = next((table for table, model in _ENGINE_TABLES.items() if key in model.model_fields), None)
            if home and not node.is_table:
                self.mistakes.add(node.place, f"'{key}' belongs in [{home}]")
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
        options = self._options(node, model, name, "")
        if options is None:
            return None
        self.document[name] = plain(options, model)
        return table(**options)

    # -- components --------------------------------------------------------------------------------------------------------

    def _component(self, kind: Kind, name: str, above: Node | None = None, *, apart: tuple[str, ...] = ()) -> Choice | None:
        """The component of the table ``name``, which is in ``above``; ``apart`` are keys of it that are no options."""
        above = above or self.root
        node = above.get(name.rpartition(".")[2])
        if node is None:
            if name not in self.misspelt:
                self.mistakes.add(above.place, f"[{name}] is missing: it says which {kind} to use ({self._choices(kind)})")
            return None
        if not node.is_table:
            self.mistakes.add(node.place, f"{name} must be a table, not {show(node.plain())}")
            return None
        found = self._choice(kind, name, node, apart=apart)
        if found:
            self.document[name] = _completed(found)
        return found

    def _choice(self, kind: Kind, label: str, node: Node, name: str = "", *, apart: tuple[str, ...] = ()) -> Choice | None:
        """What a table picks, with its options checked; ``apart`` are keys of it that are no options."""
        use = node.get("use")
        if use is None:
            self.mistakes.add(node.place, f'{label} does not say which {kind}: add use = "..." ({self._choices(kind)})')
            return None
        if not isinstance(use.value, str):
            self.mistakes.add(use.place, f"{label}.use must be the name of {_a(kind)} in quotes, not {show(use.plain())}")
            return None
        entry = self.catalogue.find(kind, use.value)
        if entry is None:
            self.mistakes.add(use.place, self._no_such(kind, label, use.value))
            return None
        what = f"{kind} '{use.value}'"
        options = self._options(node.without("use", *apart), entry.options, label, what, apart, why_not_options(entry.factory))
        return None if options is None else Choice(kind, name or label, use.value, entry, options, str(node.place))

    def _no_such(self, kind: Kind, label: str, word: str) -> str:
        text = f"{label}.use: there is no {kind} {show(word)}; "
        others = [other for other in get_args(Kind) if other != kind and self.catalogue.find(other, word)]
        if others and closest(word, self.catalogue.names(kind)) is None:
            return f"{text}it is {_a(others[0])}, for {TABLES_OF[others[0]]} ({self._choices(kind)})"
        return text + did_you_mean(word, self.catalogue.names(kind))

    def _choices(self, kind: Kind) -> str:
        names = self.catalogue.names(kind)
        return f"choices: {', '.join(sorted(names))}" if names else f"no plugin brings {_a(kind)}"

    def _options(
        self,
        node: Node,
        model: type[pydantic.BaseModel],
        label: str,
        what: str,
        also: tuple[str, ...] = (),
        others: dict[str, str] | None = None,
    ) -> dict[str, Any] | None:
        """The checked values of a table; ``also`` are keys that it may have besides, ``others`` names that are no options, and why."""
        values = node.plain()
        try:
            return self._absolute(node, validate_options(model, values))
        except pydantic.ValidationError as error:
            for path, text in sentences(error, model, values, label, what, also):
                at = node.at(path)
                if not at.refused:
                    why = (others or {}).get(str(path[0])) if path else None
                    self.mistakes.add(at.place, f"'{path[0]}' of {what} {why}" if why else text)
        except GanlabError:
            raise
        except Exception as error:
            raise PluginError(
                f"{node.place}: the check of the options of {what or label} failed: {type(error).__name__}: {error}",
                "a check in a plugin's annotations must raise ValueError for a wrong value; this is for its author to mend",
            ) from error
        return None

    def _absolute(self, node: Node, options: dict[str, Any]) -> dict[str, Any]:
        """The options with their paths absolute: those of a file are relative to its folder, those of ``--set`` to the current one."""
        for name, value in options.items():
            given = node.get(name)
            if isinstance(value, Path):
                folder = Path() if given is None or given.place.line is None else Path(given.place.source).parent
                options[name] = Path(os.path.abspath(folder / value.expanduser()))  # links stay as they were written
        return options

    def _player(self, role: str) -> PlayerChoice | None:
        network = self._component("network", role, apart=("optimizer",))
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
        """The loss of each role; empty when one is missing or wrong."""
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
        found = {role: self._component("loss", f"loss.{role}", node) for role in ROLES}
        self.document["loss"] = {role: self.document.pop(f"loss.{role}", {}) for role in ROLES}
        return {role: choice for role, choice in found.items() if choice} if all(found.values()) else {}

    # -- tricks, metrics, and what can be switched off ---------------------------------------------------------------------

    def _listed(self, kind: Kind) -> list[Choice]:
        """The choices of ``[[tricks]]`` or ``[[metrics]]`` that are not switched off."""
        key = f"{kind}s"
        node = self.root.get(key)
        found = []
        documents = []
        for name, item in (node.table if node else {}).items():
            label = f"{key}.{name}"
            if not item.is_table:
                self.mistakes.add(item.place, f"{label} must be a table, not {show(item.plain())}")
            elif "use" not in item.table:
                self.mistakes.add(item.place, self._not_there(kind, name, item.place))
            elif not NAME.fullmatch(name) and self.catalogue.find(kind, name) is None and item.place.line is None:
                self.mistakes.add(item.place, f"a {kind}'s name may have letters, digits, _ and - in it, not {show(name)}")
            else:
                choice, completed = self._switchable(kind, label, item, name)
                found += [choice] if choice else []
                documents.append({"name": name, **completed} if completed.get("use") != name else completed)
        if documents:
            self.document[key] = documents
        return found

    def _not_there(self, kind: Kind, name: str, place: Place) -> str:
        key = f"{kind}s"
        if place.line is not None:
            return f"{kind} '{name}' does not say which one it is: add use = \"...\" ({self._choices(kind)})"
        node = self.root.get(key)
        there = [other for other, item in (node.table if node else {}).items() if "use" in item.table]
        known = did_you_mean(name, there) if there else "it has none"
        return f"the recipe has no {kind} '{name}'; {known}; --set {key}.{name}.use=... adds one"

    def _switchable(self, kind: Kind, label: str, node: Node, name: str) -> tuple[Choice | None, dict[str, Any]]:
        """The choice, None when it is switched off or wrong; and its table in the resolved document."""
        enabled = node.get("enabled")
        if enabled is not None and not isinstance(enabled.value, bool):
            self.mistakes.add(enabled.place, f"{label}.enabled must be true or false, not {show(enabled.plain())}")
            return None, {}
        off = enabled is not None and not enabled.value
        if "name" in node.table:
            self.mistakes.add(node.table["name"].place, f"{label}.name cannot be set: the name is '{name}'")
            node = node.without("name")
        use = node.get("use")
        if off and (use is None or not isinstance(use.value, str) or self.catalogue.find(kind, use.value) is None):
            return None, _plain(node)  # its plugin may be absent or broken: that is a reason to switch it off
        apart = ("enabled", "name") if "." in label else ("enabled",)
        choice = self._choice(kind, label, node, name, apart=apart)
        completed = _completed(choice) if choice else {}
        return (None, completed | {"enabled": False}) if off else (choice, completed)

    def _alone(self, kind: Kind, key: str) -> Choice | None:
        """The choice of a table that may be missing or switched off: ``[tracking]``, ``[judge]``."""
        node = self.root.get(key)
        if node is None:
            return None
        if not node.is_table:
            self.mistakes.add(node.place, f"{key} must be a table, not {show(node.plain())}")
            return None
        choice, completed = self._switchable(kind, key, node, key)
        self.document[key] = completed
        return choice

    def _tracker(self) -> Choice | None:
        tricks = self.root.get("tricks")
        if "tracking" in self.root.table and tricks and "tracking" in tricks.table:
            clash = tricks.table["tracking"].place
            self.mistakes.add(clash, "a trick cannot be named 'tracking': that is the name of the one in [tracking]")
        return self._alone("trick", "tracking")


_ENGINE_TABLES = {"schedule": SCHEDULE_OPTIONS, "train": TRAIN_OPTIONS, "evaluation": EVALUATION_OPTIONS}


def _a(kind: Kind) -> str:
    return f"an {kind}" if kind == "optimizer" else f"a {kind}"


def _completed(choice: Choice) -> dict[str, Any]:
    return {"use": choice.use, **plain(choice.options, choice.entry.options)}


def _plain(node: Node) -> dict[str, Any]:
    table: dict[str, Any] = node.plain()
    return table


def _fragment(fallback: Node) -> dict[str, Any]:
    """The fallback as it was written, with its tricks and metrics as lists again."""
    table = _plain(fallback)
    for key in LISTED:
        named = table.get(key)
        if isinstance(named, dict):
            table[key] = [{"name": name, **item} if isinstance(item, dict) else item for name, item in named.items()]
    return table
