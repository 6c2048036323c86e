"""``python -m airflow_provider_snav``: reads the arguments, performs one command, says how it ended."""

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
    """The arguments do not fit together; says how to mend them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Perform one command.

    :returns: 0, 1 when it failed, 2 for wrong usage, 130 after Ctrl-C.
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
    # Airflow reads it once, when it is imported; its INFO lines are about this package's own steps.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    return perform(options.command, options)


def perform(name: str, options: argparse.Namespace) -> int:
    """Run the command's module, its results alone on standard output; returns the exit code."""
    try:
        with _results_alone_on_stdout() as results:
            return _run(name, options, results)
    except BrokenPipeError:
        # Whoever reads the results wants no more of them, as ``head`` does.
        return FAILED


def _run(name: str, options: argparse.Namespace, results: TextIO) -> int:
    """Turn what the module raises into a sentence and an exit code."""
    # Here: Airflow imports this module with each of its commands.
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
    """A folder as the person wrote it: a URI, or a local path, which may be relative."""
    return text if "://" in text else str(Path(text).expanduser().resolve())


def say(text: str) -> None:
    """Tell the person at the terminal; results go elsewhere."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def _results_alone_on_stdout() -> Iterator[TextIO]:
    """A stream to standard output, while all else that is printed goes to standard error.

    Airflow and its libraries log to standard output, which would spoil JSON and tables in a pipe.
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
