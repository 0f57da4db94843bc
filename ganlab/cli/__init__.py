"""The command line: the command ``ganlab`` calls ``main``."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from ganlab.cli.commands import cli
from ganlab.cli.exit_codes import INTERRUPTED
from ganlab.cli.process import leave_out_current_folder, set_wait_policy
from ganlab.errors import GanlabError, UsageError
from ganlab.redaction import remember_secrets
from ganlab.screen.python_messages import show_python_messages

__all__ = ["cli", "main"]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit. An error becomes one message and an exit code, never a traceback.

    Args:
        arguments: the words after ``ganlab``; None takes those of the process.
    """
    leave_out_current_folder()
    set_wait_policy()
    show_python_messages()
    remember_secrets(sys.argv if arguments is None else arguments)
    try:
        code = cli.main(arguments, prog_name="ganlab", standalone_mode=False)  # what a plugin's command gave to ctx.exit()
    except GanlabError as error:
        _exit_with(error, error.exit_code)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "ganlab"
        _exit_with(UsageError(error.format_message(), f"type `{command} --help`"), 2)
    except OSError as error:
        _exit_with(GanlabError(str(error)), 1)
    except (KeyboardInterrupt, click.Abort):
        _say_stopped()
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _say_stopped() -> None:
    from ganlab.screen.terminal import write_at_once

    write_at_once("stopped\n")


def _exit_with(error: GanlabError, code: int) -> NoReturn:
    from ganlab.screen.terminal import show_error
    from ganlab.sweeps.membership import report_failure

    report_failure(error.message)
    show_error(error)
    sys.exit(code)
