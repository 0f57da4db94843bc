"""``python -m ganlab``."""

import contextlib
import os
import sys

if __name__ == "__main__":
    with contextlib.suppress(OSError):  # the current folder was removed
        if not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):
            del sys.path[0]  # `python -m` has put the current folder there; its files are not those of a library
    from ganlab.cli import main

    main()
