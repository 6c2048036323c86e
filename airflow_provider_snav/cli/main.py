"""``python -m airflow_provider_snav``: reads the arguments and runs one command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TextIO

from airflow_provider_snav.cli.commands import COMMANDS

SUCCEEDED, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


class UsageError(Exception):
    """The arguments are wrong. The message says how to correct them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: without the program's name; by default those of this process.
    :returns: the exit code: 0, or 1 after a failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_snav", description="LinkedIn Sales Navigator without a DAG."
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.description)
        for option in command.options:
            subparser.add_argument(*option.flags, **option.settings)
    options = parser.parse_args(arguments)
    # Airflow reads this variable when it is imported. Its INFO lines would repeat the command's output.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    return perform(options.command, options)


def perform(name: str, options: argparse.Namespace) -> int:
    """Run the command's module with only its results on standard output. Return the exit code."""
    try:
        with _results_alone_on_stdout() as results:
            return _run(name, options, results)
    except BrokenPipeError:
        # The reader of the pipe has ended, as ``head`` does.
        return FAILED


def _run(name: str, options: argparse.Namespace, results: TextIO) -> int:
    """Turn the errors of the module into a message and an exit code."""
    # Imported here, because Airflow imports this module with every ``airflow`` command.
    from airflow_provider_snav._guide import see
    from airflow_provider_snav.api.errors import SalesNavigatorError

    try:
        run = import_module(f"airflow_provider_snav.cli.{name}").run
        return int(run(options, results))
    except UsageError as error:
        say(str(error))
        return WRONG_USAGE
    except SalesNavigatorError as error:
        say(f"{error} {see(error)}")
        return FAILED
    except KeyboardInterrupt as interrupt:
        say(str(interrupt) or "Interrupted.")
        return INTERRUPTED


def folder_uri(text: str) -> str:
    """Return the URI of a folder, or the absolute path of a local one."""
    return text if "://" in text else str(Path(text).expanduser().resolve())


def say(text: str) -> None:
    """Write a message to standard error. Results go to standard output."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def _results_alone_on_stdout() -> Iterator[TextIO]:
    """Yield a stream to standard output, and redirect all other output to standard error.

    Airflow and its libraries log to standard output, which would break JSON and tables in a pipe.
    """
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(stdout), "w", encoding="utf-8") as results:
            yield results
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)
