"""What MLflow is told of a run besides its numbers: parameters, tags, note and colour, all read from the run's folder."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import tomllib
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Any

from ganlab.recipe import NOT_GROUPED, flatten, is_part_of
from ganlab.redaction import redacted, redacted_value, remember_secrets

VALUE_LENGTH = 6000  # of a parameter, in MLflow's own stores
KEY_LENGTH = 250
# Colours that are told apart on white and on black (the "Tableau 10" set, and ten lighter and darker ones); MLflow's own collide.
COLOURS = [
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
    "#393b79", "#98df8a", "#ad494a", "#9edae5", "#637939", "#c5b0d5", "#8c6d31", "#aec7e8", "#7b4173", "#ffbb78",
]  # fmt: skip

TAG_LENGTH = 250  # of the tags that runs are grouped by: more is no heading


def read_recipe(run: Path) -> dict[str, Any]:
    """The resolved recipe in a run's folder."""
    recipe = tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))
    remember_secrets(recipe)  # so that the text of the file can be sent without them
    return recipe


def read_info(run: Path) -> dict[str, Any]:
    """The content of a run's ``run.json``."""
    info: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return info


def key(name: str) -> str:
    """``name`` as MLflow takes it: letters, digits and ``_ - . : /`` and space, and a clean path.

    >>> key("loss/generator (mean)")
    'loss/generator _mean_'
    """
    legal = re.sub(r"[^\w\-. :/]", "_", name[:KEY_LENGTH], flags=re.ASCII)
    clean = posixpath.normpath(f"/{legal}").strip("/")
    return clean if clean.strip(".") else "_"


def parameters(recipe: dict[str, Any]) -> dict[str, str]:
    """The resolved recipe, flattened: ``{"generator.hidden": "[256, 512]", ...}``.

    Its description stands in the note, and that nothing is to be added to it (``defaults = false``) is not what experiments differ in.
    """
    flat = flatten({name: value for name, value in recipe.items() if name not in ("description", "defaults")})
    return {key(name): redacted_value(str(value))[:VALUE_LENGTH] for name, value in flat.items()}


def tags(run: Path, info: dict[str, Any], recipe: dict[str, Any]) -> dict[str, str]:
    """Who, where, on what and from which code."""
    data, git, command = info.get("data", {}), info.get("git") or {}, info.get("command") or [""]
    member = info.get("set") or {}
    found = {
        "ganlab.version": info.get("ganlab", ""),
        "ganlab.recipe": info.get("recipe", ""),
        "ganlab.changed": ", ".join(changed(info))[:TAG_LENGTH],
        "ganlab.group": group(info, recipe),
        "ganlab.device": info.get("device_name") or info.get("device", ""),
        "ganlab.data": data.get("use", ""),
        "ganlab.data.fallback_from": data.get("fallback_from") or "",
        "ganlab.seed": str(info.get("seed", "")),
        "ganlab.set": str(member.get("name", "")),
        "ganlab.combination": redacted_value(" ".join(f"{key}={value}" for key, value in member.get("combination", {}).items())),
        "ganlab.run": run.name,
        "ganlab.uid": uid(run, info),
        "ganlab.copied_from": str((info.get("copied_from") or {}).get("id", "")),
        "ganlab.folder": str(run),
        "mlflow.user": info.get("user", ""),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": " ".join(map(redacted_value, [Path(command[0]).name, *command[1:]])),
        "mlflow.source.git.commit": git.get("commit", ""),
        "ganlab.git.dirty": str(git["dirty"]).lower() if "dirty" in git else "",
        "mlflow.note.content": note(info, recipe),
    }
    return {name: value for name, value in found.items() if value}


def uid(run: Path, info: dict[str, Any]) -> str:
    """What tells this run from all others, also from a stranger's of the same name."""
    return re.sub(r"[^\w.-]", "_", str(info.get("uid") or run.name))


def note(info: dict[str, Any], recipe: dict[str, Any]) -> str:
    """The run's description in the UI, as Markdown."""
    described = [str(recipe.get("description", "")), *(f"**Note:** {text}" for text in info.get("announcements", []))]
    return redacted("\n\n".join(part for part in described if part))


def changed(info: dict[str, Any]) -> list[str]:
    """What a run was told beside its recipe, and that makes another one of it: by ``--set``, or as one of a set of runs.

    >>> changed({"command": ["ganlab", "run", "ring", "--set", "train.seed=3", "--set=loss.use=bce"], "set": {"combination": {"lr": 0.1}}})
    ['loss.use=bce', 'lr=0.1']
    """
    words = [str(word) for word in info.get("command") or []]
    said = [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    said += [word for before, word in pairwise(words) if before == "--set"]
    said += [f"{key}={value}" for key, value in ((info.get("set") or {}).get("combination") or {}).items()]
    last = dict(text.partition("=")[::2] for text in said)  # of one key the last word counts
    found = [redacted_value(f"{key.strip()}={value.strip()}") for key, value in last.items() if not is_part_of(key.strip(), NOT_GROUPED)]
    return sorted(found, key=lambda text: text.startswith("train."))  # a list shows the beginning, and budgets seldom differ


def group(info: dict[str, Any], recipe: dict[str, Any]) -> str:
    """What runs of one recipe have in common, whatever their seed: the recipe, what was changed, and a digest of all its options.

    The digest tells runs apart that were changed in the recipe's file, in a script, or on their way.
    """
    options = {key: str(value) for key, value in flatten(recipe).items() if not is_part_of(key, NOT_GROUPED)}
    on_the_way = [one for one in info.get("resumed") or [] if isinstance(one, dict) and one.get("recipe")]
    options |= {f"changed at step {one.get('step')}": str(one["recipe"]) for one in on_the_way}
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:4]
    return f"{' '.join([str(info.get('recipe', '')), *_short(changed(info))])[:TAG_LENGTH]} ({digest})".strip()


def run_name(run: str, info: dict[str, Any]) -> str:
    """A run's name in MLflow: its id without the time, which lists show anyway; its seed; and what was changed, without the tables.

    >>> run_name("20260102-030405-ring-1a2b", {"seed": 3, "command": ["ganlab", "--set", "generator.optimizer.lr=0.1"]})
    'ring-1a2b seed 3 lr=0.1'
    """
    seed = [f"seed {info['seed']}"] if "seed" in info else []
    return " ".join([short_name(run), *seed, *_short(changed(info))])[:TAG_LENGTH]


def short_name(run: str) -> str:
    """A run's id without the time: what ``ganlab resume`` takes too.

    >>> short_name("20260102-030405-ring-1a2b")
    'ring-1a2b'
    """
    return re.sub(r"^\d{8}-\d{6}-(?=.)", "", run)


def _short(texts: list[str]) -> list[str]:
    """``["a.lr=1"]`` as ``["lr=1"]``."""
    return [text[text.partition("=")[0].rfind(".") + 1 :] for text in texts]


def colour(run: str, taken: Collection[str]) -> str:
    """A colour for a run's curves that is not ``taken``; if all are, and for runs that begin at one moment, the name decides."""
    first = hashlib.sha256(run.encode()).digest()[0] % len(COLOURS)
    order = COLOURS[first:] + COLOURS[:first]
    return next((colour for colour in order if colour not in taken), order[0])


def reason(error: BaseException) -> str:
    """Why MLflow cannot be used, in one line."""
    text = redacted(" ".join(str(error).split())) or type(error).__name__
    if "Connection refused" in text:
        return "nothing listens there (connection refused)"
    if "timed out" in text.lower() or isinstance(error, TimeoutError):
        return "it does not answer in time"
    if re.search(r"NameResolutionError|getaddrinfo|Name or service not known|nodename nor servname", text):
        return "its host is not known"
    return text if len(text) <= 300 else f"{text[:297]}..."
