"""The process that downloads: torchvision's own code, which knows no timeout, where it can be stopped.

Run as ``python worker.py REQUEST`` by ganlab_datasets.download; it imports nothing of ganlab. REQUEST is JSON: ``dataset`` (the name
of a class of torchvision.datasets), ``folder`` to download into, ``mirrors`` and ``resources`` to use in place of the class's own.
Prints READY when it begins, and on failure the reason as its last line.
"""

from __future__ import annotations

import json
import os
import sys
import threading

READY = "ready"
ORPHANED = 3  # exit code


def end_with_parent() -> None:
    """End this process when its parent has ended, however it did: standard input is a pipe that the parent never writes to."""
    while os.read(0, 1):
        pass
    os._exit(ORPHANED)


def main(request: str) -> int:
    """Download what ``request`` says; the exit code."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    wanted = json.loads(request)
    try:
        from torchvision import datasets

        original = getattr(datasets, wanted["dataset"])
        sources = {"mirrors": wanted["mirrors"], "resources": [tuple(resource) for resource in wanted["resources"]]}
        chosen = type(original.__name__, (original,), sources)
        print(READY, flush=True)
        chosen(wanted["folder"], download=True)  # downloads, checks md5, unpacks, and reads what it unpacked
    except Exception as error:
        print(" ".join(str(error).split()) or type(error).__name__, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
