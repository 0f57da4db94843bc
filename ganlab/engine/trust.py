"""Whether a run's folder is this account's own work: a stranger's must not make ganlab run code or follow a path by itself.

ganlab signs what a run would be resumed by (its recipe, and the digests of its plugin files) with a key that lies in the account's
state folder, outside of every run. A folder that came from elsewhere, or whose recipe was edited by hand, has no such signature:
then whatever in it leads out of it is shown, and ``--trust`` asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pydantic

from ganlab.engine.folder import RunFolder
from ganlab.errors import UsageError
from ganlab.recipe import Choice, Recipe

KEY_BYTES = 32


def state_folder() -> Path:
    """Where ganlab keeps what belongs to the account: ``GANLAB_STATE``, else the platform's folder for an application's state."""
    if os.environ.get("GANLAB_STATE"):
        return Path(os.environ["GANLAB_STATE"]).expanduser()
    from platformdirs import user_state_path

    return user_state_path("ganlab")


def sign(folder: RunFolder, plugins: list[dict[str, str]]) -> str | None:
    """The signature of a run's recipe and plugin files; None where this account can keep no key."""
    key = _key()
    return None if key is None else _digest(key, folder, plugins)


def is_own(folder: RunFolder, info: dict[str, Any]) -> bool:
    """Whether the run was begun, or accepted, by this account, and its recipe and plugin files are listed as they were then."""
    key, signature = _key(), info.get("signature")
    if key is None or not isinstance(signature, str):
        return False
    try:
        return hmac.compare_digest(signature.encode(), _digest(key, folder, info.get("plugins", [])).encode())
    except (OSError, TypeError, ValueError):
        return False


def refuse_strangers_files(folder: RunFolder, command: str) -> None:
    """Before anything of a stranger's run is loaded: see that nothing of it would be run, and no path in it be followed.

    Raises:
        UsageError: something would.
    """
    found = []
    try:
        document = tomllib.loads(folder.recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        document = {}  # loading it says what is wrong
    plugins = document.get("plugins")
    for name in plugins if isinstance(plugins, list) else []:
        found.append(f"it runs the plugin file {name}{_digest_of(folder.path / str(name))}")
    if "extends" in document:
        found.append(f"its recipe extends {document['extends']}")
    for path in sorted(folder.path.rglob("*")):
        if path.is_symlink():
            found.append(f"its {path.relative_to(folder.path).as_posix()} is a link to {os.readlink(path)}")
    _refuse(folder, found, command)


def refuse_strangers_options(folder: RunFolder, recipe: Recipe, overridden: set[str], command: str) -> None:
    """See that no option of a stranger's recipe can lead anywhere: a path, or an address that the run would be sent to.

    Which option is one, only its plugin knows. So every option that takes any text counts, unless it has its default value.

    Args:
        folder: the run's.
        recipe: its recipe.
        overridden: the keys that the person has set (``--set``), which are no stranger's.
        command: the one that ``--trust`` must be given to.

    Raises:
        UsageError: one can.
    """
    players = [choice for player in (recipe.generator, recipe.discriminator) for choice in (player.network, player.optimizer)]
    laws = [recipe.noise, *([recipe.sampling_noise] if recipe.sampling_noise else []), *{id(c): c for c in recipe.losses.values()}.values()]
    found = []
    for choice in [recipe.data, *laws, *players, *recipe.tricks]:
        table = f"tricks.{choice.name}" if choice.kind == "trick" and choice.name != "tracking" else choice.name
        for name in _free_texts(choice):
            if f"{table}.{name}" not in overridden:
                found.append(f'its recipe says {table}.{name} = "{choice.options[name]}"')
    _refuse(folder, found, command)


def _refuse(folder: RunFolder, found: list[str], command: str) -> None:
    if found:
        raise UsageError(
            f"run {folder.path.name} was not made by this account, or its recipe has been edited since, and `ganlab {command}` would "
            f"reach beyond its folder: {'; '.join(found)}",
            f"look at these; if you trust whoever made it: `ganlab {command} {folder.path} --trust`",
        )


def _free_texts(choice: Choice) -> list[str]:
    """The options of a choice that may be any text or path, and are not at their default."""
    fields = choice.entry.options.model_fields
    return [name for name, value in choice.options.items() if _takes_text(fields[name].annotation) and value != _default(fields[name])]


def _default(field: pydantic.fields.FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _takes_text(annotation: Any) -> bool:
    if annotation is Any or (isinstance(annotation, type) and issubclass(annotation, str | Path)):
        return True
    return any(_takes_text(inner) for inner in get_args(annotation))


def _digest(key: bytes, folder: RunFolder, plugins: list[dict[str, str]]) -> str:
    signed = json.dumps({"recipe": folder.recipe.read_text(encoding="utf-8"), "plugins": plugins}, sort_keys=True)
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()


def _digest_of(path: Path) -> str:
    try:
        return f" (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()})" if path.is_file() else " (which does not exist)"
    except OSError:
        return " (which cannot be read)"


def _key() -> bytes | None:
    """The account's key, made when there is none; None where there is no place for it."""
    path = state_folder() / "key"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = path.with_name(f".key.{secrets.token_hex(4)}")
        if not path.exists():
            descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            try:
                os.link(aside, path)  # fails where another process was faster, whose key then counts
            except FileExistsError:
                pass
            finally:
                aside.unlink()
    with suppress(OSError):
        key = path.read_bytes()
        return key if len(key) == KEY_BYTES else None
    return None
