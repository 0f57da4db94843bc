"""Shows what Python itself prints (warnings, log records without a handler, tracebacks) through ganlab's console."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import TextIO


def show_python_messages() -> None:
    """Show warnings, log records and tracebacks of this process through the console from now on. For ganlab's own process only."""
    warnings.showwarning = _show_warning
    logging.lastResort = _LogHandler(logging.WARNING)
    sys.excepthook = _show_traceback
    threading.excepthook = lambda args: _show_traceback(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)


class _LogHandler(logging.Handler):
    """Prints records for which no other handler is installed."""

    def emit(self, record: logging.LogRecord) -> None:
        _print(self.format(record))


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    _print(warnings.formatwarning(message, category, filename, lineno, line).rstrip())


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _print("".join(traceback.format_exception(kind, error, trace)).rstrip())


def _print(text: str) -> None:
    from rich.text import Text

    from ganlab.screen.terminal import errors  # imported late: `ganlab --help` does without rich

    errors.print(Text(text))
