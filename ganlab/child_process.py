"""How ganlab starts another Python process: one that runs no Python file of the current folder by mistake.

``python -m NAME`` and ``python -c`` search modules in the current folder first. A file ``random.py`` there would be run in place of
Python's own module.
"""

from __future__ import annotations

import os
import sys


def python_command(*arguments: str) -> list[str]:
    """The command ``python ARGUMENTS``, such as ``("-m", "ganlab", "runs")``, of a process that searches no module in the current folder.

    Start it with :func:`python_environment`, for the Python processes that it starts itself.
    """
    return [sys.executable, "-P", *arguments]


def python_environment() -> dict[str, str]:
    """This process's environment variables for a child process: neither it nor its own children search modules in the current folder.

    Folders that ``PYTHONPATH`` names are kept. An empty entry, which Python takes for the current folder, is not.
    """
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    if "PYTHONPATH" in environment:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, environment["PYTHONPATH"].split(os.pathsep)))
    return environment
