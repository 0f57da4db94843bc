"""Trust in run folders: a folder that this account did not make must not run code or open paths outside it without ``--trust``.

ganlab signs the recipe of each run, and the digests of its plugin files, with a key in the account's state folder. A folder from
somewhere else, or with a recipe that was edited by hand, has no valid signature. ganlab then lists everything in it that leads out of
the folder, and asks for ``--trust``.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pydantic
from filelock import FileLock

from ganlab.errors import UsageError
from ganlab.printable import one_line
from ganlab.recipe import Choice, Recipe
from ganlab.recipe.differences import is_part_of
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.run_info import PluginCopy, RunInfo
from ganlab.redaction import redacted_value
from ganlab.storage.reading import RECIPE, parse_toml, read_bytes, read_text

KEY_BYTES = 32


def state_folder() -> Path:
    """The folder for data of the account, such as its key: ``GANLAB_STATE``, else the platform's state folder for applications."""
    if os.environ.get("GANLAB_STATE"):
        return Path(os.environ["GANLAB_STATE"]).expanduser()
    from platformdirs import user_state_path

    return user_state_path("ganlab")


def sign(folder: RunFolder, plugins: list[PluginCopy]) -> str | None:
    """The signature of a run's recipe and plugin files; None if the account's key cannot be read or stored."""
    key = account_key()
    return None if key is None else _digest(key, folder, plugins)


def is_own(folder: RunFolder, info: RunInfo) -> bool:
    """Whether this account made the run, or resumed it with ``--trust``, and its recipe and plugin files are unchanged since.

    False if the folder contains a link or a special file, which somebody else may have put there.
    """
    key, signature = account_key(), info.signature
    if key is None or signature is None or _links_and_special_files(folder):
        return False
    try:
        return hmac.compare_digest(signature.encode(), _digest(key, folder, info.plugins).encode())
    except (OSError, TypeError, ValueError):
        return False


def is_own_run(path: str | Path) -> bool:
    """Whether this account made the run in the folder ``path``: a tracker sends no other run without ``--trust``."""
    folder = RunFolder(Path(path))
    try:
        return is_own(folder, folder.read_info())
    except UsageError:
        return False


def refuse_strangers_files(folder: RunFolder, info: RunInfo, request: RunRequest) -> None:
    """Check, before a stranger's run is loaded, that its files run no code and lead to no other folder.

    Raises:
        UsageError: they do; the message lists how.
    """
    reasons = _links_and_special_files(folder)
    try:
        document = {} if reasons else parse_toml(read_text(folder.recipe, RECIPE))
    except (OSError, ValueError, RecursionError):
        document = {}  # loading the recipe reports what is wrong
    plugins = document.get("plugins")
    names = [*(plugins if isinstance(plugins, list) else []), *(f"plugins/{Path(copy['name']).name}" for copy in info.plugins)]
    reasons += [f"it runs the plugin file {one_line(name)}{_digest_of(folder.path / str(name))}" for name in dict.fromkeys(map(str, names))]
    if "extends" in document:
        reasons.append(f"its recipe extends {one_line(str(document['extends']))}")
    _refuse(folder, reasons, request)


def refuse_strangers_options(folder: RunFolder, recipe: Recipe, request: RunRequest) -> None:
    """Check that no option of a stranger's recipe can be a path, or an address that the run would be sent to.

    Only the plugin knows which option is one. So every option counts that is not a number, a truth value or one of a list of words,
    unless it has its default value or the person has set it (``--set``).

    Raises:
        UsageError: an option can; the message lists them.
    """
    reasons = []
    for choice in recipe.choices:
        for name in _free_texts(choice):
            if not is_part_of(f"{choice.table}.{name}", request.keys):
                reasons.append(f'its recipe says {choice.table}.{name} = "{redacted_value(one_line(str(choice.options[name])))}"')
    _refuse(folder, reasons, request)


def _links_and_special_files(folder: RunFolder) -> list[str]:
    """Everything in a run's folder that is neither a file nor a folder: links lead out of it, and reading a pipe may never end."""
    reasons = []
    for path in sorted(folder.path.rglob("*")):
        name = one_line(path.relative_to(folder.path).as_posix())
        if path.is_symlink():
            reasons.append(f"its {name} is a link to {one_line(os.readlink(path))}")
        elif not path.is_file() and not path.is_dir():
            reasons.append(f"its {name} is neither a file nor a folder")
    return reasons


def _refuse(folder: RunFolder, reasons: list[str], request: RunRequest) -> None:
    if reasons:
        raise UsageError(
            f"run {one_line(folder.path.name)} was not made by this account, or its recipe has been edited since, and "
            f"`ganlab {request.command}` would reach beyond its folder: {'; '.join(reasons)}",
            f"check these; if you trust its author: {request.command_line(folder.path, trust=True)}",
        )


def _free_texts(choice: Choice) -> list[str]:
    """The options of a choice that are not at their default and may hold any text."""
    fields = choice.entry.options.model_fields
    return [name for name, value in choice.options.items() if not is_harmless(fields[name].annotation) and value != _default(fields[name])]


def _default(field: pydantic.fields.FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def is_harmless(annotation: Any) -> bool:
    """Whether a type allows only numbers, truth values and words from a list, or containers of these."""
    if annotation in (bool, int, float, complex, None, type(None)) or get_origin(annotation) is Literal:
        return True
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return True
    inner = [part for part in get_args(annotation) if part is not Ellipsis]
    if get_origin(annotation) is Annotated:
        inner = inner[:1]
    return bool(inner) and all(map(is_harmless, inner))


def _digest(key: bytes, folder: RunFolder, plugins: list[PluginCopy]) -> str:
    signed = json.dumps({"recipe": read_text(folder.recipe, RECIPE), "plugins": plugins}, sort_keys=True)
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()


def _digest_of(path: Path) -> str:
    try:
        return f" (sha256 {hashlib.sha256(read_bytes(path)).hexdigest()})"
    except FileNotFoundError:
        return " (which does not exist)"
    except (OSError, ValueError):
        return " (which cannot be read)"


def account_key() -> bytes | None:
    """The account's key, created if there is none; None if it cannot be stored."""
    path = state_folder() / "key"
    with suppress(OSError):
        if not _is_whole(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(path.with_name(".key.lock")):
                if not _is_whole(path):  # no other process was faster
                    path.unlink(missing_ok=True)
                    path.touch(mode=0o600)
                    path.write_bytes(secrets.token_bytes(KEY_BYTES))
        return path.read_bytes()
    return None


def _is_whole(key: Path) -> bool:
    """Whether the key is there. A crash may have truncated it; runs that it signed then need --trust again."""
    return key.is_file() and key.stat().st_size == KEY_BYTES
