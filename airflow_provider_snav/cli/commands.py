"""The commands and their options, for ``python -m airflow_provider_snav`` and for ``airflow snav``.

Each command is a module of this package with the same name, imported when the command runs. Airflow imports
this module with every ``airflow`` command, so it imports only the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REDIRECT_URI = "http://localhost:8401/callback"


@dataclass(frozen=True, slots=True)
class Option:
    """One argument.

    :param settings: keyword arguments that both argparse and Airflow's ``Arg`` have.
    """

    flags: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    name: str
    help: str
    description: str
    options: tuple[Option, ...]


def _option(*flags: str, **settings: Any) -> Option:
    return Option(flags, settings)


_CONN_ID = _option(
    "--conn-id",
    default="snav_default",
    metavar="ID",
    help="the Airflow connection to use (default: snav_default)",
)
_JSON = _option("--json", action="store_true", help="print JSON, for scripts")

COMMANDS = (
    Command(
        "login",
        "get a member token from LinkedIn",
        "Get a member access token through LinkedIn's consent page. The client id is taken from --client-id,"
        " the connection or SNAV_CLIENT_ID; the client secret from SNAV_CLIENT_SECRET or the connection. The"
        " command asks for missing values. Without a terminal it reads them from standard input, one per"
        " line. Register exactly the same redirect address in LinkedIn's developer portal, in the tab Auth of"
        " your application. Without --save the command prints the new connection with its secrets.",
        (
            _option(
                "--conn-id",
                metavar="ID",
                help="an existing connection whose fields are used (default: the one named by --save,"
                " otherwise snav_default)",
            ),
            _option("--client-id", metavar="ID", help="client id of your LinkedIn application"),
            _option(
                "--scope",
                action="append",
                metavar="SCOPE",
                help="a scope to request; may be given several times (default: r_sales_nav_analytics and"
                " r_sales_nav_display). Request all the scopes you need together: a later consent to other"
                " scopes makes LinkedIn revoke the earlier tokens",
            ),
            _option(
                "--redirect-uri",
                default=REDIRECT_URI,
                metavar="URL",
                help=f"a redirect address registered for the application (default: {REDIRECT_URI})",
            ),
            _option(
                "--paste",
                action="store_true",
                help="paste the last address of the browser instead of listening for it: for a machine"
                " without a browser, and for an https redirect address",
            ),
            _option(
                "--save",
                metavar="ID",
                help="save the connection in Airflow's database under this id, such as snav_default",
            ),
            _option("--no-browser", action="store_true", help="print the address without opening a browser"),
            _option(
                "--timeout",
                type=float,
                default=300.0,
                metavar="SECONDS",
                help="how long to wait for the member's answer (default: 300)",
            ),
            _JSON,
        ),
    ),
    Command(
        "check",
        "check the credentials of the connection",
        "Try each credential of the connection. Print the scopes and the expiry of the member token, whether"
        " application tokens can be minted, which hosts may receive a token, and whether this machine's clock"
        " is right. Exit code 1 if a credential does not work.",
        (_CONN_ID, _JSON),
    ),
    Command(
        "contracts",
        "list the contracts you may export",
        "List the contracts whose data the member may export.",
        (
            _CONN_ID,
            _option("--all", action="store_true", help="include contracts without reporting access"),
            _JSON,
        ),
    ),
    Command(
        "export",
        "export and land a report, without a DAG",
        "Submit one export, wait for it and land its verified files. The remedies for failed jobs are those"
        " of a task. After Ctrl-C or a failure the same command continues with the jobs it submitted.",
        (
            _option("kind", choices=("activity", "seat", "activity_outcome", "crm"), help="what to export"),
            _option("--contract", metavar="CONTRACT", help="number or URN; not for crm"),
            _option("--crm-instance", metavar="URN", help="URN of the CRM instance; for crm"),
            _option(
                "--from",
                dest="start",
                metavar="TIME",
                help="start, such as 2026-11-01; UTC without an offset",
            ),
            _option(
                "--to", dest="end", metavar="TIME", help="end, which is not exported itself; not for crm"
            ),
            _option(
                "--into",
                required=True,
                metavar="FOLDER",
                help="a local folder, or a URI such as s3://conn_id@bucket/folder/",
            ),
            _option("--filename", metavar="NAME", help="the name of the file"),
            _option("--compression", choices=("gzip", "zstd"), help="compress the files"),
            _option(
                "--if-exists",
                choices=("overwrite", "fail"),
                default="overwrite",
                help="what to do with files of an earlier run (default: overwrite)",
            ),
            _option(
                "--if-no-file",
                choices=("fail", "skip"),
                default="fail",
                help="whether a completed job without a file is a failure, or an export without rows"
                " (default: fail)",
            ),
            _option(
                "--no-verify",
                action="store_true",
                help="land a file whose number of rows is not LinkedIn's rowCount, with a warning",
            ),
            _option("--manifest", action="store_true", help="write a manifest after the files"),
            _option("--anew", action="store_true", help="ignore the jobs that an earlier run submitted"),
            _CONN_ID,
            _JSON,
        ),
    ),
    Command(
        "coverage",
        "list which landed file is valid for which time",
        "Read the manifests below a folder. For each contract or CRM instance, list which file is valid for"
        " which time: the file that landed last. Exit code 1 if there is a gap between two windows or no"
        " manifest.",
        (
            _option(
                "uri", metavar="FOLDER", help="a local folder, or a URI such as s3://conn_id@bucket/folder/"
            ),
            _JSON,
        ),
    ),
    Command(
        "explain",
        "say what an error means and what to do",
        "Print the section of the error guide that a message names. For '(see docs/errors.md#row-count; ...)'"
        " the section is row-count. Without a section, list all sections.",
        (_option("section", nargs="?", help="such as row-count"), _JSON),
    ),
)
