"""Whether a run's folder is this account's own work: a stranger's must not make ganlab run code or follow a path by itself.

ganlab signs what a run would be resumed by (its recipe, and the digests of its plugin files) with a key that lies in the account's
state folder, outside of every run. A folder that came from elsewhere, or whose recipe was edited by hand, has no such signature:
then whatever in it leads out of it is shown, and ``--trust`` asked for.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
import os
import secrets
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pydantic

from ganlab.errors import UsageError
from ganlab.recipe import Choice, Recipe
from ganlab.recipe.differences import is_part_of
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.run_info import PluginCopy, RunInfo

KEY_BYTES = 32


def state_folder() -> Path:
    """Where ganlab keeps what belongs to the account: ``GANLAB_STATE``, else the platform's folder for an application's state."""
    if os.environ.get("GANLAB_STATE"):
        return Path(os.environ["GANLAB_STATE"]).expanduser()
    from platformdirs import user_state_path

    return user_state_path("ganlab")


def sign(folder: RunFolder, plugins: list[PluginCopy]) -> str | None:
    """The signature of a run's recipe and plugin files; None where this account can keep no key."""
    key = _key()
    return None if key is None else _digest(key, folder, plugins)


def is_own(folder: RunFolder, info: RunInfo) -> bool:
    """Whether the run was begun, or accepted, by this account, its recipe and plugin files are listed as they were then, and nothing in
    its folder is a link, which others may have put there.
    """
    key, signature = _key(), info.signature
    if key is None or signature is None or _odd(folder):
        return False
    try:
        return hmac.compare_digest(signature.encode(), _digest(key, folder, info.plugins).encode())
    except (OSError, TypeError, ValueError):
        return False


def is_own_run(path: str | Path) -> bool:
    """Whether the run in the folder ``path`` was made by this account: a tracker sends no other without being asked to."""
    folder = RunFolder(Path(path))
    try:
        return is_own(folder, folder.read_info())
    except UsageError:
        return False


def refuse_strangers_files(folder: RunFolder, info: RunInfo, request: RunRequest) -> None:
    """Before anything of a stranger's run is loaded: see that nothing of it would be run, and no path in it be followed.

    Raises:
        UsageError: something would.
    """
    found = _odd(folder)
    try:
        document = {} if found else tomllib.loads(folder.recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        document = {}  # loading it says what is wrong
    plugins = document.get("plugins")
    names = [*(plugins if isinstance(plugins, list) else []), *(f"plugins/{Path(said['name']).name}" for said in info.plugins)]
    found += [f"it runs the plugin file {_shown(name)}{_digest_of(folder.path / str(name))}" for name in dict.fromkeys(map(str, names))]
    if "extends" in document:
        found.append(f"its recipe extends {_shown(document['extends'])}")
    _refuse(folder, found, request)


def refuse_strangers_options(folder: RunFolder, recipe: Recipe, request: RunRequest) -> None:
    """See that no option of a stranger's recipe can lead anywhere: a path, or an address that the run would be sent to.

    Which option is one, only its plugin knows. So every option that takes more than numbers and words from a list counts, unless it
    has its default value, or the person has set it (``--set``).

    Raises:
        UsageError: one can.
    """
    players = [choice for player in (recipe.generator, recipe.discriminator) for choice in (player.network, player.optimizer)]
    laws = [recipe.noise, *([recipe.sampling_noise] if recipe.sampling_noise else []), *{id(c): c for c in recipe.losses.values()}.values()]
    found = []
    for choice in [recipe.data, *laws, *players, *recipe.metrics, *([recipe.judge] if recipe.judge else []), *recipe.tricks]:
        table = f"{choice.kind}s.{choice.name}" if choice.kind in ("trick", "metric") and choice.name != "tracking" else choice.name
        for name in _free_texts(choice):
            if not is_part_of(f"{table}.{name}", request.keys):
                found.append(f'its recipe says {table}.{name} = "{_shown(choice.options[name])}"')
    _refuse(folder, found, request)


def _odd(folder: RunFolder) -> list[str]:
    """What in a run's folder is neither a file nor a folder: links lead out of it, and what else there is does not end when it is read."""
    found = []
    for path in sorted(folder.path.rglob("*")):
        name = _shown(path.relative_to(folder.path).as_posix())
        if path.is_symlink():
            found.append(f"its {name} is a link to {_shown(os.readlink(path))}")
        elif not path.is_file() and not path.is_dir():
            found.append(f"its {name} is no file")
    return found


def _refuse(folder: RunFolder, found: list[str], request: RunRequest) -> None:
    if found:
        raise UsageError(
            f"run {_shown(folder.path.name)} was not made by this account, or its recipe has been edited since, and "
            f"`ganlab {request.command}` would reach beyond its folder: {'; '.join(found)}",
            f"look at these; if you trust whoever made it: {request.command_line(folder.path, trust=True)}",
        )


def _shown(value: object) -> str:
    """A stranger's words as they can do no harm in a terminal."""
    text = str(value)
    return text if text.isprintable() else json.dumps(text)


def _free_texts(choice: Choice) -> list[str]:
    """The options of a choice that may be more than numbers and words from a list, and are not at their default."""
    fields = choice.entry.options.model_fields
    return [name for name, value in choice.options.items() if not _harmless(fields[name].annotation) and value != _default(fields[name])]


def _default(field: pydantic.fields.FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _harmless(annotation: Any) -> bool:
    """Whether values of this type are numbers, truth values or words from a list, or made of such."""
    if annotation in (bool, int, float, complex, None, type(None)) or get_origin(annotation) is Literal:
        return True
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return True
    inner = [part for part in get_args(annotation) if part is not Ellipsis]
    if get_origin(annotation) is Annotated:
        inner = inner[:1]
    return bool(inner) and all(map(_harmless, inner))


def _digest(key: bytes, folder: RunFolder, plugins: list[PluginCopy]) -> str:
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
        if path.exists() and path.stat().st_size != KEY_BYTES:
            path.unlink()  # a crash has cut it off; what it signed has to be trusted again
        if not path.exists():
            descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
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
