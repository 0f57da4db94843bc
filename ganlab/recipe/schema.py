"""The JSON schema of recipes, for completion, documentation and checks in editors.

It accepts more than :func:`~ganlab.recipe.load_recipe`: a recipe that extends another one may leave out what that one has, and
an editor cannot know what it has.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pydantic

from ganlab.recipe.choices import TABLES_OF
from ganlab.recipe.documented import option_texts
from ganlab.recipe.shipped import shipped_recipes
from ganlab.recipe.tables import EVALUATION_OPTIONS, SCHEDULE_OPTIONS, TRAIN_OPTIONS, Evaluation, Schedule, Train
from ganlab.recipe.words import Schema, options_schema
from ganlab.registry.entry import Entry, Kind
from ganlab.registry.lookup import Lookup
from ganlab.registry.options import summary
from ganlab.roles import ROLES

_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}


def schema(catalogue: Lookup) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of recipes that pick from ``catalogue``."""
    entries = {kind: [entry for name in catalogue.names(kind) if (entry := catalogue.find(kind, name))] for kind in TABLES_OF}
    tables = _tables()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A ganlab recipe",
        "description": "One TOML file that says everything about an experiment.",
        "type": "object",
        "properties": {**_head(), **tables, "fallback": {"$ref": "#/$defs/fragment"}},
        "additionalProperties": False,
        "if": {"not": {"required": ["extends"]}},
        "then": _whole(entries),
        "$defs": {
            "fragment": {
                "title": "Changes that apply if the data is not available",
                "type": "object",
                "properties": {"description": {"type": "string"}, **tables},
                "additionalProperties": False,
            },
            "data": _component(entries["dataset"]),
            "noise": _component(entries["noise"]),
            "network": _component(entries["network"], {"optimizer": {"$ref": "#/$defs/optimizer"}}),
            "optimizer": _component(entries["optimizer"]),
            "loss": _loss(entries["loss"]),
            "player_loss": _component(entries["loss"]),
            "trick": _component(entries["trick"], {"name": _named("trick"), "enabled": _enabled()}),
            "metric": _component(entries["metric"], {"name": _named("metric"), "enabled": _enabled()}),
            "judge": _component(entries["judge"], {"enabled": _enabled()}),
            "tracking": _component(entries["trick"], {"enabled": _enabled()}),
            "schedule": _engine_table(Schedule, SCHEDULE_OPTIONS),
            "train": {**_engine_table(Train, TRAIN_OPTIONS), "not": {"required": ["steps", "epochs"]}},
            "evaluation": _engine_table(Evaluation, EVALUATION_OPTIONS),
        },
    }


def _head() -> Schema:
    return {
        "name": {**_NAME, "description": "The name in runs; by default the file's name."},
        "description": {"type": "string", "description": "One line, for `ganlab recipes`."},
        "extends": {
            "description": "The recipe that this one changes: a shipped recipe, or a file relative to this one.",
            "anyOf": [{"enum": sorted(shipped_recipes())}, {"type": "string", "pattern": "\\.toml$"}, {"type": "string"}],
        },
        "defaults": {
            "type": "boolean",
            "default": True,
            "description": "Whether ganlab's defaults apply to this recipe; a resolved recipe has them written out.",
        },
        "plugins": {
            "type": "array",
            "items": {"type": "string", "pattern": "\\.py$"},
            "description": "Python files, relative to this one, that register components and tricks.",
        },
    }


def _tables() -> Schema:
    players: Schema = {role: {"$ref": "#/$defs/network", "description": f"The {role}'s network, and its optimizer."} for role in ROLES}
    return {
        "data": {"$ref": "#/$defs/data", "description": "The training data."},
        "noise": {"$ref": "#/$defs/noise", "description": "The distribution of the latent, the generator's input."},
        "sampling_noise": {
            "$ref": "#/$defs/noise",
            "description": "The latent distribution for sample sheets and the saved generator; by default that of the training.",
        },
        **players,
        "loss": {"$ref": "#/$defs/loss", "description": "The loss of both players, or one loss for each."},
        "schedule": {"$ref": "#/$defs/schedule"},
        "tricks": {
            "type": "array",
            "items": {"$ref": "#/$defs/trick"},
            "description": "Tricks that act during a run; called in this order.",
        },
        "train": {"$ref": "#/$defs/train"},
        "evaluation": {"$ref": "#/$defs/evaluation"},
        "metrics": {"type": "array", "items": {"$ref": "#/$defs/metric"}, "description": "The metrics of the samples."},
        "judge": {"$ref": "#/$defs/judge", "description": "The network that looks at images for the metrics."},
        "tracking": {"$ref": "#/$defs/tracking", "description": "The trick that sends the run to a tracker; called last."},
    }


def _component(entries: list[Entry], more: Schema | None = None) -> Schema:
    """A table that picks one of ``entries``; without ``use`` it changes options of the component that a lower layer picked."""
    more = more or {}
    branches = [_branch(entry, more) for entry in entries]
    return {"type": "object", "oneOf": [*branches, _fragment(branches, more)]}


def _branch(entry: Entry, more: Schema) -> Schema:
    described = _described(options_schema(entry.options), option_texts(entry.factory))
    return {
        "title": entry.name,
        "description": f"{summary(entry.factory)} (plugin {entry.plugin})".strip(),
        "properties": {"use": {"const": entry.name}, **described, **more},
        "required": ["use"],
        "additionalProperties": False,
    }


def _fragment(branches: list[Schema], more: Schema) -> Schema:
    """A table with any options of any branch, and without ``use``."""
    options: dict[str, dict[str, Schema]] = {}
    for branch in branches:
        for name, option in branch["properties"].items():
            if name != "use" and name not in more:
                bare = {key: value for key, value in option.items() if key not in ("default", "description")}
                options.setdefault(name, {})[json.dumps(bare, sort_keys=True)] = bare
    merged = {name: next(iter(forms.values())) if len(forms) == 1 else {"anyOf": list(forms.values())} for name, forms in options.items()}
    return {"title": "options of the recipe that is extended", "properties": {**merged, **more}, "additionalProperties": False}


def _described(options: Schema, texts: dict[str, str]) -> Schema:
    """The properties of an options model for an editor: without null and titles, with descriptions from the docstring."""
    properties = {}
    for name, option in options.get("properties", {}).items():
        option = _without_titles(copy.deepcopy(option))
        branches = option.get("anyOf")
        if branches:
            branches = [branch for branch in branches if branch.get("type") != "null"]
            option = {**{key: value for key, value in option.items() if key != "anyOf"}, "anyOf": branches}
            if len(branches) == 1:
                option = {**option.pop("anyOf")[0], **option}
        if not _is_json(option.get("default", "")):
            del option["default"]
        if name in texts:
            option = {"description": texts[name], **option}
        properties[name] = option
    return properties


def _is_json(default: Any) -> bool:
    """Whether a schema can hold a default: TOML has no null, and JSON has no infinity."""
    try:
        return default is not None and bool(json.dumps(default, allow_nan=False))
    except ValueError:
        return False


def _without_titles(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_titles(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_titles(item) for key, item in value.items() if key != "title" or not isinstance(item, str)}


def _loss(entries: list[Entry]) -> Schema:
    component = _component(entries)
    players = {role: {"$ref": "#/$defs/player_loss"} for role in ROLES}
    split = {"title": "a loss for each player", "properties": players, "minProperties": 1, "additionalProperties": False}
    return {"type": "object", "oneOf": [*component["oneOf"], split]}


def _engine_table(table: type[Schedule] | type[Train] | type[Evaluation], model: type[pydantic.BaseModel]) -> Schema:
    return {
        "type": "object",
        "description": summary(table),
        "properties": _described(options_schema(model), option_texts(table)),
        "additionalProperties": False,
    }


def _named(kind: str) -> Schema:
    where = "in `--set`, in metrics and in checkpoints" if kind == "trick" else "in `--set`"
    return {**_NAME, "description": f"The name of this {kind} {where}; by default its `use`."}


def _enabled() -> Schema:
    return {"type": "boolean", "default": True, "description": "false switches it off."}


def _whole(entries: dict[Kind, list[Entry]]) -> Schema:
    """What a recipe without ``extends`` must have."""
    player = _required(entries["network"])
    player = {**player, "required": ["use", "optimizer"], "properties": {"optimizer": _required(entries["optimizer"])}}
    loss = _required(entries["loss"])
    split = {"required": list(ROLES), "properties": dict.fromkeys(ROLES, loss)}
    return {
        "required": ["data", "noise", *ROLES, "loss", "train"],
        "properties": {
            "data": _required(entries["dataset"]),
            "noise": _required(entries["noise"]),
            **dict.fromkeys(ROLES, player),
            "loss": {"anyOf": [loss, split]},
            "train": {"anyOf": [{"required": ["steps"]}, {"required": ["epochs"]}]},
        },
    }


def _required(entries: list[Entry]) -> Schema:
    """``use``, and the options of the picked component that have no default."""
    rules: list[Schema] = []
    for entry in entries:
        required = options_schema(entry.options).get("required", [])
        if required:
            picked = {"properties": {"use": {"const": entry.name}}, "required": ["use"]}
            rules.append({"if": picked, "then": {"required": list(required)}})
    return {"required": ["use"], **({"allOf": rules} if rules else {})}
