"""The moments at which a process is killed. Each is plain data, that the child arms itself with before it begins.

All that is patched is patched in the child, which is about to die; the product's code knows nothing of it. The kinds:

- ``hook``: in the run hook of that name, at the first call from ``step`` on, after all tricks have been called. With a ``command`` it
  is not the process that is ended there: the command is carried out, which does something to its disk; ``{run}`` is the run's folder,
  ``{pid}`` the process.
- ``file``: at the ``count``-th time that something is done with a file whose name matches ``name``: ``half`` of its bytes are written,
  ``fsync`` is about to be called, it is about to be renamed (``before``) or has been (``after``), is about to be removed
  (``removing``) or has been (``removed``). With ``closing`` only what is done after the training counts.
- ``line``: half of the ``count``-th line of metrics.jsonl is written.
- ``seconds``, with or without ``after``: the parent kills, so long after the start or after the child's ``after``-th sign, which it
  gives when it begins to write a checkpoint.
"""

from __future__ import annotations

import fnmatch
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

Moment = dict[str, Any]


def die() -> NoReturn:
    """As `kill -9` does it: nothing is flushed, closed or told."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def arm(moment: Moment, sign: int) -> None:
    """Prepare this process's death."""
    if moment["kind"] == "hook":
        arm_hook(moment["name"], moment["step"], moment.get("command", []))
    elif moment["kind"] == "line":
        arm_line(moment["count"])
    elif moment["kind"] == "file":
        arm_file(moment["name"], moment["when"], moment["count"], moment.get("closing", False))
    elif moment.get("after"):
        arm_sign(sign)


def arm_hook(name: str, step: int, command: list[str]) -> None:
    """Let the command line add a watcher to its run: it comes after all tricks and the display."""
    import ganlab
    from ganlab.registry.implementations import RUN_HOOKS
    from ganlab.runs.workspace import Workspace

    left = [command or None]

    def hook(run: Any) -> None:
        if run.step >= step and left:
            words = left.pop()
            if words is None:
                die()
            subprocess.run([word.replace("{run}", str(run.path)).replace("{pid}", str(os.getpid())) for word in words], check=True)

    others = ", ".join(parameter for parameter in RUN_HOOKS[name] if parameter != "run")
    scope: dict[str, Any] = {"hook": hook}
    exec(f"def {name}(self, run{', ' + others if others else ''}):\n    hook(run)", scope)  # pluggy reads parameter names
    assassin = type("Assassin", (), {name: ganlab.hookimpl(scope[name])})()
    make = Workspace.__init__

    def with_the_assassin(self: Workspace, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        self.watchers.append(assassin)

    Workspace.__init__ = with_the_assassin  # type: ignore[method-assign]


def arm_line(count: int) -> None:
    """The process dies while it appends a line of metrics."""
    from ganlab.records import record

    append, left = record.append_line, [count]

    def torn(path: Path, *given: Any) -> None:
        if path.name == "metrics.jsonl":
            left[0] -= 1
        if left[0] > 0:
            return append(path, *given)
        before = path.stat().st_size if path.exists() else 0
        append(path, *given)
        with open(path, "rb+") as file:
            file.truncate((before + path.stat().st_size) // 2)
        die()

    record.append_line = torn  # type: ignore[assignment]


def arm_file(name: str, when: str, count: int, closing: bool) -> None:
    """The process dies while it does something with a file."""
    left, counting = [count], [not closing]

    def due(path: Any) -> bool:
        counts = counting[0] and fnmatch.fnmatch(Path(path).name, name)
        left[0] -= counts
        return counts and left[0] == 0

    if closing:
        arm_closing(counting)

    if when == "half":
        arm_half(due)
    elif when == "fsync":
        fsync = os.fsync
        os.fsync = lambda handle: die() if due(os.readlink(f"/proc/self/fd/{handle}")) else fsync(handle)  # type: ignore[assignment]
    else:
        method = "replace" if when in ("before", "after") else "unlink"
        original = getattr(Path, method)

        def wrapped(self: Path, *given: Any, **named: Any) -> Any:
            ours = due(given[0] if method == "replace" else self)
            if ours and when in ("before", "removing"):
                die()
            result = original(self, *given, **named)
            return die() if ours else result

        setattr(Path, method, wrapped)


def arm_closing(counting: list[bool]) -> None:
    """From the first run.json on that says "closing" the actions count."""
    from ganlab.records.folder import RunFolder
    from ganlab.records.run_info import CLOSING, RunInfo

    write = RunFolder.write_info

    def noting(self: RunFolder, info: RunInfo) -> None:
        counting[0] = counting[0] or info.status == CLOSING
        write(self, info)

    RunFolder.write_info = noting  # type: ignore[method-assign]


def arm_half(due: Callable[[Any], bool]) -> None:
    """Half of a file's bytes are written, under its temporary name."""
    from ganlab.storage import atomic, checkpoint

    write_bytes = atomic.write_bytes

    def half_a_file(path: Path, content: bytes) -> None:
        if due(path):
            atomic.temporary_path(path).write_bytes(content[: len(content) // 2])
            die()
        write_bytes(path, content)

    atomic.write_bytes = checkpoint.write_bytes = half_a_file  # write_text calls it, too


def arm_sign(sign: int) -> None:
    """Tell the parent whenever a checkpoint begins to be written."""
    from ganlab.storage import checkpoint

    save = checkpoint.save

    def telling(*given: Any) -> None:
        os.write(sign, b".")
        save(*given)

    checkpoint.save = telling  # type: ignore[assignment]


def hooks() -> list[str]:
    """The hooks that a watcher may have and that are called while the steps go on, or at the end of the run."""
    from ganlab.game.hooks import DECIDING
    from ganlab.registry.implementations import RUN_HOOKS

    early = {"before_build", "after_build", "before_run"}
    return [name for name, parameters in RUN_HOOKS.items() if name not in early and name not in DECIDING and "run" in parameters]
