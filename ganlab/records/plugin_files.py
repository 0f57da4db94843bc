"""The plugin files of a run: the copies in its folder, and which version a resumed run executes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ganlab.errors import UsageError
from ganlab.recipe import PluginFile, Recipe
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.run_info import PluginCopy, RunInfo
from ganlab.storage.atomic import write_bytes
from ganlab.storage.reading import RECIPE, parse_toml, read_bytes, read_text

FOLDER = "plugins"  # in the run's folder


def copy_into_run(folder: RunFolder, recipe: Recipe) -> list[PluginCopy]:
    """Copy a new run's plugin files into its folder, and name the copies in its resolved recipe.

    Returns:
        What run.json lists: ``name``, ``from`` (the path of the original) and ``sha256``.
    """
    _name_copies(recipe)
    for file in recipe.plugins:
        _copy(folder, file)
    return [{"name": file.path.name, "from": str(file.path), "sha256": file.sha256} for file in recipe.plugins]


def contents_to_run(folder: RunFolder, info: RunInfo, own_run: bool, request: RunRequest) -> dict[Path, bytes]:
    """The content that a resumed run executes for each of its plugin files, by the path of the copy in its folder.

    The original belongs to the author, who may edit it; the copy is a backup. If both are unchanged, there is no choice to make.

    Args:
        own_run: whether this account made the run. If not, its originals are not read.
        request: ``trust`` executes the copies in the run's folder, ``changed`` the originals as they are now.

    Raises:
        UsageError: an original or a copy is changed or missing, and ``request`` does not say which version to use.
    """
    if not (own_run or request.trust):
        return {}
    contents = {}
    for listed in _listed_copies(folder, info):
        copy_path, original_path = folder.path / FOLDER / Path(listed["name"]).name, Path(listed["from"])
        copy, original = _read(copy_path), _read(original_path) if own_run else None
        if original is not None and _sha256(original) == listed["sha256"]:
            contents[copy_path] = original
            if copy != original:  # the copy was lost or edited: restore it
                _set_aside(copy_path)
                _copy(folder, PluginFile(copy_path, original))
        elif request.trust and copy is not None and _sha256(copy) == listed["sha256"]:
            contents[copy_path] = copy
        elif request.changed and original is not None:
            contents[copy_path] = original
        elif request.changed and request.trust and copy is not None:
            contents[copy_path] = copy
        elif request.trust or not own_run:
            raise _copy_changed(folder, listed, copy_path, copy, request)
        else:
            raise _original_changed(folder, listed, copy_path, original, request)
    return contents


def update_copies(folder: RunFolder, info: RunInfo, recipe: Recipe) -> tuple[list[PluginCopy], list[str]]:
    """Bring the copies up to what a resumed run executes. An older version is kept beside the new one, with its digest in the name.

    Returns:
        What run.json lists, and each change in words.
    """
    _name_copies(recipe)
    copies_before = {copy["name"]: copy for copy in info.plugins}
    copies_now: list[PluginCopy] = []
    changes = []
    for file in recipe.plugins:
        name, path = file.path.name, folder.path / FOLDER / file.path.name
        before = copies_before.get(name, {"name": name, "from": str(file.path), "sha256": ""})
        if _read(path) != file.content:
            _set_aside(path)
            _copy(folder, file)
        if before["sha256"] != file.sha256:
            changes.append(f"plugin file {name} has sha256 {file.sha256[:8]} (was {before['sha256'][:8] or 'not there'})")
        copies_now.append({"name": name, "from": before["from"], "sha256": file.sha256})
    return copies_now, changes


def _listed_copies(folder: RunFolder, info: RunInfo) -> list[PluginCopy]:
    """The copies in run.json that the recipe lists, too: a file that was removed from the recipe is not executed."""
    try:
        plugins = parse_toml(read_text(folder.recipe, RECIPE)).get("plugins", [])
    except (OSError, ValueError, RecursionError):
        return []  # loading the recipe reports what is wrong
    return [copy for copy in info.plugins if isinstance(plugins, list) and f"{FOLDER}/{Path(copy['name']).name}" in plugins]


def _copy_changed(folder: RunFolder, listed: PluginCopy, copy_path: Path, copy: bytes | None, request: RunRequest) -> UsageError:
    """The copy in the run's folder would be executed, and is changed or missing."""
    resume = f"; to resume with the file as it is: {request.command_line(folder.path, changed=True)}" if request.command == "resume" else ""
    return UsageError(
        f"{copy_path} is not the plugin file that run {folder.path.name} was made with: {_digests(copy, listed)}",
        f"get an undamaged copy of it{resume}",
    )


def _original_changed(folder: RunFolder, listed: PluginCopy, copy_path: Path, original: bytes | None, request: RunRequest) -> UsageError:
    """The original would be executed, and is changed or missing."""
    name = folder.path.name
    if original is None:
        return UsageError(
            f"plugin file {listed['from']} is gone; the only copy left is in run {name}",
            f"put it back; or run the copy, {copy_path}: {request.command_line(folder.path, trust=True)}",
        )
    return UsageError(
        f"plugin file {listed['from']} is not what run {name} was made with: {_digests(original, listed)}",
        f"to use the file as it is now: {request.command_line(folder.path, changed=True)}\n"
        f"or the run's own copy of the earlier version: {request.command_line(folder.path, trust=True)}",
    )


def _name_copies(recipe: Recipe) -> None:
    """Name the copies in the resolved recipe, so that the run's folder alone reproduces the run."""
    if recipe.plugins:
        recipe.document["plugins"] = [f"{FOLDER}/{file.path.name}" for file in recipe.plugins]


def _copy(folder: RunFolder, file: PluginFile) -> None:
    (folder.path / FOLDER).mkdir(exist_ok=True)
    write_bytes(folder.path / FOLDER / file.path.name, file.content)


def _set_aside(copy_path: Path) -> None:
    """Save a copy that is about to be replaced under a name with its digest: somebody may have edited it."""
    content = _read(copy_path)
    if content is not None:
        write_bytes(copy_path.with_name(f"{copy_path.name}.{_sha256(content)[:8]}"), content)


def _read(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except (OSError, ValueError):
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digests(content: bytes | None, listed: PluginCopy) -> str:
    now = "it is gone" if content is None else f"its sha256 is {_sha256(content)}"
    return f"{now}, and was {listed['sha256']}"
