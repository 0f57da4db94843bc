"""``python -m ganlab``."""

import os
import sys

if __name__ == "__main__":
    try:
        current_folder = os.getcwd()
    except OSError:  # it was removed
        current_folder = ""
    if not sys.flags.safe_path and sys.path[0] in ("", current_folder):
        del sys.path[0]  # `python -m` has put the current folder there, whose files may have the names of libraries
    from ganlab.cli import main

    main()
