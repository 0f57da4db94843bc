"""From one table of a recipe to a choice: the component looked up by its ``use``, and its options checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pydantic

from ganlab.errors import GanlabError, PluginError, closest, did_you_mean
from ganlab.recipe.choices import TABLES_OF, Choice
from ganlab.recipe.places import Mistakes, Node, show
from ganlab.recipe.words import sentences
from ganlab.registry.entry import Kind
from ganlab.registry.lookup import Lookup
from ganlab.registry.options import plain, validate_options, why_not_options


@dataclass
class Chooser:
    """Turns the table of a component or trick into a :class:`Choice`."""

    catalogue: Lookup
    mistakes: Mistakes

    def choose(self, kind: Kind, label: str, node: Node, name: str = "", *, other_keys: tuple[str, ...] = ()) -> Choice | None:
        """The choice of a table, with its options checked; None if there is a mistake.

        Args:
            label: the table in messages, such as ``"tricks.clamp"``.
            name: of the choice; empty for ``label``.
            other_keys: keys of the table that are not options, besides ``use``.
        """
        use = node.get("use")
        if use is None:
            self.mistakes.add(node.place, f'{label} does not say which {kind}: add use = "..." ({self.choices_text(kind)})')
            return None
        if not isinstance(use.value, str):
            self.mistakes.add(use.place, f"{label}.use must be the name of {with_article(kind)} in quotes, not {show(use.plain())}")
            return None
        entry = self.catalogue.find(kind, use.value)
        if entry is None:
            self.mistakes.add(use.place, self._no_such(kind, label, use.value), missing_component=True)
            return None
        owner = f"{kind} '{use.value}'"
        table = node.without("use", *other_keys)
        options = self.options(table, entry.options, label, owner, other_keys, why_not_options(entry.factory))
        return None if options is None else Choice(kind, name or label, use.value, entry, options, str(node.place))

    def choose_switchable(self, kind: Kind, label: str, node: Node, name: str) -> tuple[Choice | None, dict[str, Any]]:
        """The choice of a table that may say ``enabled = false``, and the table in the resolved document.

        The choice is None if it is switched off, or if there is a mistake.
        """
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
            table: dict[str, Any] = node.plain()
            return None, table  # its plugin may be missing or broken, which is a reason to switch it off
        other_keys = ("enabled", "name") if "." in label else ("enabled",)
        choice = self.choose(kind, label, node, name, other_keys=other_keys)
        completed = completed_table(choice) if choice else {}
        return (None, completed | {"enabled": False}) if off else (choice, completed)

    def options(
        self,
        node: Node,
        model: type[pydantic.BaseModel],
        label: str,
        owner: str = "",
        other_keys: tuple[str, ...] = (),
        not_options: dict[str, str] | None = None,
    ) -> dict[str, Any] | None:
        """The options of a table, checked and complete; None if there is a mistake.

        Args:
            label: the table in messages.
            owner: whose options they are, such as ``"network 'mlp'"``; empty for a table of the engine.
            other_keys: keys that the table may have besides; suggested for an unknown key.
            not_options: names that look like options and are not, each with the reason.
        """
        values = node.plain()
        try:
            return _with_absolute_paths(node, validate_options(model, values))
        except pydantic.ValidationError as error:
            for path, text in sentences(error, model, values, label, owner, other_keys):
                wrong = node.at(path)
                if not wrong.refused:
                    why = (not_options or {}).get(str(path[0])) if path else None
                    self.mistakes.add(wrong.place, f"'{path[0]}' of {owner} {why}" if why else text)
        except GanlabError:
            raise
        except Exception as error:
            raise PluginError(
                f"{node.place}: the check of the options of {owner or label} failed: {type(error).__name__}: {error}",
                "a check in a plugin's annotations must raise ValueError for a wrong value; its author has to fix this",
            ) from error
        return None

    def choices_text(self, kind: Kind) -> str:
        """All names of one kind, for a message."""
        names = self.catalogue.names(kind)
        return f"choices: {', '.join(sorted(names))}" if names else f"no plugin brings {with_article(kind)}"

    def _no_such(self, kind: Kind, label: str, word: str) -> str:
        text = f"{label}.use: there is no {kind} {show(word)}; "
        other_kinds = [other for other in get_args(Kind) if other != kind and self.catalogue.find(other, word)]
        if other_kinds and closest(word, self.catalogue.names(kind)) is None:
            return f"{text}it is {with_article(other_kinds[0])}, for {' and '.join(TABLES_OF[other_kinds[0]])} ({self.choices_text(kind)})"
        return text + did_you_mean(word, self.catalogue.names(kind))


def completed_table(choice: Choice) -> dict[str, Any]:
    """The table of a choice in the resolved document: ``use``, and every option."""
    return {"use": choice.use, **plain(choice.options, choice.entry.options)}


def with_article(kind: Kind) -> str:
    """``"a network"``, ``"an optimizer"``."""
    return f"an {kind}" if kind == "optimizer" else f"a {kind}"


def _with_absolute_paths(node: Node, options: dict[str, Any]) -> dict[str, Any]:
    """The options with absolute paths: a path in a file is relative to the file's folder, a path in ``--set`` to the current folder."""
    for name, value in options.items():
        written = node.get(name)
        if isinstance(value, Path):
            folder = Path() if written is None or written.place.line is None else Path(written.place.source).parent
            options[name] = Path(os.path.abspath(folder / value.expanduser()))  # does not resolve links
    return options
