"""``airflow snav ...``: the same commands where Airflow takes them from providers (3.2 and later).

Airflow imports this module with every ``airflow`` command. By then it has imported ``airflow.cli.cli_config``
itself, and nothing else of Airflow is needed here.
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
    """What the key ``cli`` of the provider info names."""
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
        # Airflow takes no notice of what is returned.
        raise SystemExit(perform(command.name, options))

    return run
