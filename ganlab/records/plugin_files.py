"""The plugin files of a run: their copies in its folder, and which of their versions a resumed run goes on with."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

from ganlab.errors import UsageError
from ganlab.recipe import PluginFile, Recipe
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.run_info import PluginCopy, RunInfo
from ganlab.storage.atomic import write_bytes

FOLDER = "plugins"  # in the run's


def keep(folder: RunFolder, recipe: Recipe) -> list[PluginCopy]:
    """Copy a new run's plugin files into its folder, and let its resolved recipe name the copies.

    Returns:
        What run.json says of them: ``name``, ``from`` (where the file was) and ``sha256``.
    """
    _name_copies(recipe)
    for file in recipe.plugins:
        _copy(folder, file)
    return [{"name": file.path.name, "from": str(file.path), "sha256": file.sha256} for file in recipe.plugins]


def chosen(folder: RunFolder, info: RunInfo, own: bool, request: RunRequest) -> dict[Path, bytes]:
    """What a resumed run runs in place of its plugin files, by their paths in its folder.

    The original is the author's; the copy makes sure that nothing is lost. While both are the same, there is nothing to ask.

    Args:
        folder: the run's.
        info: its run.json.
        own: whether this account has made the run: only then its originals are looked for.
        request: ``trust`` runs the copies in its folder, ``changed`` the originals as they are now.

    Raises:
        UsageError: an original is no longer what it was, or is gone, or so is a copy, and ``request`` does not say what to do.
    """
    if not (own or request.trust):
        return {}
    found = {}
    for said in _listed(folder, info):
        copy, original = folder.path / FOLDER / Path(said["name"]).name, Path(said["from"])
        kept, now = _content(copy), _content(original) if own else None
        if now is not None and _sha256(now) == said["sha256"]:
            found[copy] = now
            if kept != now:  # a part of the run was lost, and can be had again
                _set_aside(copy)
                _copy(folder, PluginFile(copy, now))
        elif request.trust and kept is not None and _sha256(kept) == said["sha256"]:
            found[copy] = kept
        elif request.changed and now is not None:
            found[copy] = now
        elif request.changed and request.trust and kept is not None:
            found[copy] = kept
        else:
            raise _changed(folder, said, copy, original, kept, now, own, request)
    return found


def _listed(folder: RunFolder, info: RunInfo) -> list[PluginCopy]:
    """What run.json says of those plugin files that the recipe lists: a file that was taken out of it is not run."""
    try:
        listed = tomllib.loads(folder.recipe.read_text(encoding="utf-8")).get("plugins", [])
    except (OSError, ValueError, RecursionError):
        return []  # loading the recipe says what is wrong
    return [said for said in info.plugins if isinstance(listed, list) and f"{FOLDER}/{Path(said['name']).name}" in listed]


def _changed(
    folder: RunFolder,
    said: PluginCopy,
    copy: Path,
    original: Path,
    kept: bytes | None,
    now: bytes | None,
    own: bool,
    request: RunRequest,
) -> UsageError:
    """Why a plugin file is not run, and what can be done."""
    name = folder.path.name
    if request.trust or not own:
        more = (
            "" if request.command != "resume" else f"; to go on with the file as it is: {request.command_line(folder.path, changed=True)}"
        )
        return UsageError(
            f"{copy} is not the plugin file that run {name} was made with: {_was(kept, said)}", f"get a whole copy of it{more}"
        )
    if now is None:
        return UsageError(
            f"plugin file {original} is gone, and the copy in run {name} is all there is",
            f"put it back; or run the copy, {copy}: {request.command_line(folder.path, trust=True)}",
        )
    return UsageError(
        f"plugin file {original} is not what run {name} was made with: {_was(now, said)}",
        f"go on with the file as it is now: {request.command_line(folder.path, changed=True)}\n"
        f"or with the run's own copy of what it was: {request.command_line(folder.path, trust=True)}",
    )


def keep_again(folder: RunFolder, info: RunInfo, recipe: Recipe) -> tuple[list[PluginCopy], list[str]]:
    """Bring the copies up to what a resumed run runs; an older version stays beside the new one under a name with its digest.

    Returns:
        What run.json says of them, and in words what is new.
    """
    _name_copies(recipe)
    copies_before = {copy["name"]: copy for copy in info.plugins}
    copies_now: list[PluginCopy] = []
    news = []
    for file in recipe.plugins:
        name, path = file.path.name, folder.path / FOLDER / file.path.name
        before = copies_before.get(name, {"name": name, "from": str(file.path), "sha256": ""})
        if _content(path) != file.content:
            _set_aside(path)
            _copy(folder, file)
        if before["sha256"] != file.sha256:
            news.append(f"plugin file {name} has sha256 {file.sha256[:8]} (was {before['sha256'][:8] or 'not there'})")
        copies_now.append({"name": name, "from": before["from"], "sha256": file.sha256})
    return copies_now, news


def _name_copies(recipe: Recipe) -> None:
    """Let the resolved recipe name the copies, from which the run's folder alone reproduces it."""
    if recipe.plugins:
        recipe.document["plugins"] = [f"{FOLDER}/{file.path.name}" for file in recipe.plugins]


def _copy(folder: RunFolder, file: PluginFile) -> None:
    (folder.path / FOLDER).mkdir(exist_ok=True)
    write_bytes(folder.path / FOLDER / file.path.name, file.content)


def _set_aside(copy: Path) -> None:
    """Keep a copy that is about to be replaced, under a name with its digest: somebody may have worked in it."""
    content = _content(copy)
    if content is not None:
        write_bytes(copy.with_name(f"{copy.name}.{_sha256(content)[:8]}"), content)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except (OSError, ValueError):
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _was(content: bytes | None, said: PluginCopy) -> str:
    now = "it is gone" if content is None else f"its sha256 is {_sha256(content)}"
    return f"{now}, and was {said['sha256']}"
