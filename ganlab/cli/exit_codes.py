"""Exit codes of commands that a signal ended, as shells count them. Imports nothing that is slow."""

from __future__ import annotations

import signal

SIGNALLED = 128  # a shell adds the signal's number to it
INTERRUPTED = SIGNALLED + int(signal.SIGINT)  # Ctrl-C
