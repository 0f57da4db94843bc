"""The JSON schema of a recipe, for editors: completion, the meaning of each option, and mistakes as one types.

It is a little more lenient than :func:`~ganlab.recipe.load_recipe`: a recipe that extends another may leave out everything
that the other one has, which an editor cannot know.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pydantic

from ganlab.recipe.documented import option_texts
from ganlab.recipe.shipped import shipped_recipes
from ganlab.recipe.tables import EVALUATION_OPTIONS, SCHEDULE_OPTIONS, TRAIN_OPTIONS, Evaluation, Schedule, Train
from ganlab.recipe.words import Schema, options_schema
from ganlab.registry.entry import Entry, Kind
from ganlab.registry.lookup import Lookup
from ganlab.registry.options import summary

_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}
_KINDS: tuple[Kind, ...] = ("dataset", "noise", "network", "optimizer", "loss", "metric", "judge", "trick")


def schema(catalogue: Lookup) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a recipe made from what ``catalogue`` has."""
    entries = {kind: [entry for name in catalogue.names(kind) if (entry := catalogue.find(kind, name))] for kind in _KINDS}
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
                "title": "What changes where the data cannot be had",
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
        "name": {**_NAME, "description": "What runs are named after; left out, the file's name."},
        "description": {"type": "string", "description": "One line, for `ganlab recipes`."},
        "extends": {
            "description": "A shipped recipe, or a file relative to this one, that this recipe changes.",
            "anyOf": [{"enum": sorted(shipped_recipes())}, {"type": "string", "pattern": "\\.toml$"}, {"type": "string"}],
        },
        "defaults": {
            "type": "boolean",
            "default": True,
            "description": "Whether what ganlab switches on by default is in this recipe; resolved recipes have it written out.",
        },
        "plugins": {
            "type": "array",
            "items": {"type": "string", "pattern": "\\.py$"},
            "description": "Python files, relative to this one, that bring components and tricks.",
        },
    }


def _tables() -> Schema:
    players = {role: {"$ref": "#/$defs/network", "description": f"The {role}'s network, and its optimizer."} for role in _ROLES}
    return {
        "data": {"$ref": "#/$defs/data", "description": "What is learnt."},
        "noise": {"$ref": "#/$defs/noise", "description": "The law of the latent, which the generator starts from."},
        "sampling_noise": {
            "$ref": "#/$defs/noise",
            "description": "Another law for sample sheets and the saved generator; left out, that of the training.",
        },
        **players,
        "loss": {"$ref": "#/$defs/loss", "description": "What both players minimise, or each its own."},
        "schedule": {"$ref": "#/$defs/schedule"},
        "tricks": {
            "type": "array",
            "items": {"$ref": "#/$defs/trick"},
            "description": "What acts while a run goes on; called in this order.",
        },
        "train": {"$ref": "#/$defs/train"},
        "evaluation": {"$ref": "#/$defs/evaluation"},
        "metrics": {"type": "array", "items": {"$ref": "#/$defs/metric"}, "description": "What is measured of the samples."},
        "judge": {"$ref": "#/$defs/judge", "description": "What sees images for the metrics."},
        "tracking": {"$ref": "#/$defs/tracking", "description": "The trick that mirrors the run elsewhere; called last."},
    }


_ROLES = ("generator", "discriminator")


def _component(entries: list[Entry], more: Schema | None = None) -> Schema:
    """A table that picks one of ``entries``; without ``use`` it changes options of what a lower layer picked."""
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
    """Any options of any of the branches, and no ``use``."""
    options: dict[str, dict[str, Schema]] = {}
    for branch in branches:
        for name, option in branch["properties"].items():
            if name != "use" and name not in more:
                bare = {key: value for key, value in option.items() if key not in ("default", "description")}
                options.setdefault(name, {})[json.dumps(bare, sort_keys=True)] = bare
    merged = {name: next(iter(found.values())) if len(found) == 1 else {"anyOf": list(found.values())} for name, found in options.items()}
    return {"title": "options of what is extended", "properties": {**merged, **more}, "additionalProperties": False}


def _described(options: Schema, texts: dict[str, str]) -> Schema:
    """The properties of an options model as an editor wants them: no null, no titles, the docstring's words."""
    found = {}
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
        found[name] = option
    return found


def _is_json(default: Any) -> bool:
    """Whether a default can stand in a schema: TOML cannot say null, nor JSON an infinity."""
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
    one = _component(entries)
    players = {role: {"$ref": "#/$defs/player_loss"} for role in _ROLES}
    split = {"title": "a loss for each player", "properties": players, "minProperties": 1, "additionalProperties": False}
    return {"type": "object", "oneOf": [*one["oneOf"], split]}


def _engine_table(table: type[Schedule] | type[Train] | type[Evaluation], model: type[pydantic.BaseModel]) -> Schema:
    return {
        "type": "object",
        "description": summary(table),
        "properties": _described(options_schema(model), option_texts(table)),
        "additionalProperties": False,
    }


def _named(kind: str) -> Schema:
    where = "in `--set`, in metrics and in checkpoints" if kind == "trick" else "in `--set`"
    return {**_NAME, "description": f"What this {kind} is called {where}; left out, its `use`."}


def _enabled() -> Schema:
    return {"type": "boolean", "default": True, "description": "false switches it off."}


def _whole(entries: dict[Kind, list[Entry]]) -> Schema:
    """What a recipe that extends nothing must have."""
    player = _needed(entries["network"])
    player = {**player, "required": ["use", "optimizer"], "properties": {"optimizer": _needed(entries["optimizer"])}}
    loss = _needed(entries["loss"])
    split = {"required": list(_ROLES), "properties": dict.fromkeys(_ROLES, loss)}
    return {
        "required": ["data", "noise", *_ROLES, "loss", "train"],
        "properties": {
            "data": _needed(entries["dataset"]),
            "noise": _needed(entries["noise"]),
            **dict.fromkeys(_ROLES, player),
            "loss": {"anyOf": [loss, split]},
            "train": {"anyOf": [{"required": ["steps"]}, {"required": ["epochs"]}]},
        },
    }


def _needed(entries: list[Entry]) -> Schema:
    """``use``, and the options that the component picked has no default for."""
    rules: list[Schema] = []
    for entry in entries:
        required = options_schema(entry.options).get("required", [])
        if required:
            picked = {"properties": {"use": {"const": entry.name}}, "required": ["use"]}
            rules.append({"if": picked, "then": {"required": list(required)}})
    return {"required": ["use"], **({"allOf": rules} if rules else {})}
