"""``airflow snav ...``: the same commands in Airflow's own command line (3.2 and later).

Airflow imports this module with every ``airflow`` command. At that time ``airflow.cli.cli_config`` is already
loaded, and this module needs no other module of Airflow.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_provider_snav.cli.commands import COMMANDS, Command
from airflow_provider_snav.cli.main import perform

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.cli.cli_config import CLICommand


def get_commands() -> list[CLICommand]:
    """Return the commands for the key ``cli`` of the provider info."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    return [
        GroupCommand(
            name="snav",
            help="LinkedIn Sales Navigator without a DAG",
            subcommands=[
                ActionCommand(
                    name=command.name,
                    help=command.help,
                    description=command.description,
                    func=_performing(command),
                    args=[Arg(option.flags, **option.settings) for option in command.options],
                )
                for command in COMMANDS
            ],
        )
    ]


def _performing(command: Command) -> Callable[[argparse.Namespace], None]:
    def run(options: argparse.Namespace) -> None:
        # Airflow ignores a returned exit code.
        raise SystemExit(perform(command.name, options))

    return run
