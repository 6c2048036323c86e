"""``contracts``: lists the contracts that the member may export."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TextIO

from airflow_provider_snav.cli.connections import open_hook
from airflow_provider_snav.cli.main import SUCCEEDED, say
from airflow_provider_snav.cli.tables import print_json, print_table


def run(options: argparse.Namespace, results: TextIO) -> int:
    """List the contracts."""
    with open_hook(options.conn_id) as hook:
        contracts = hook.list_contracts(reporting_access_only=not options.all)
    if options.json:
        print_json(results, [asdict(contract) for contract in contracts])
    elif contracts:
        print_table(
            results,
            ("contract", "name", "description", "reporting access"),
            [
                (
                    each.contract,
                    each.name,
                    each.description or "",
                    "yes" if each.has_reporting_access else "no",
                )
                for each in contracts
            ],
        )
    else:
        say("The member has no contract with reporting access. --all also lists the others.")
    return SUCCEEDED
