"""``python -m airflow_provider_snav.sandbox``: serves a Sales Navigator that Airflow can connect to."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta

from airflow_provider_snav.sandbox.settings import SandboxSettings


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Serve until Ctrl-C or SIGTERM.

    :returns: the error message for the exit, None for success.
    """
    options = _parser().parse_args(arguments)
    try:
        from airflow_provider_snav.sandbox.server import Sandbox
    except ModuleNotFoundError as missing:
        return f"The sandbox needs {missing.name}: pip install 'airflow-provider-snav[sandbox]'"

    try:
        sandbox = Sandbox(
            options.port,
            speed=options.speed,
            one_export_at_a_time=not options.no_queue,
            enforce_scopes=not options.any_token,
            chunked_downloads=options.chunked,
            bulk_bytes=options.bulk_bytes,
            redirect_uris=tuple(options.redirect_uri or SandboxSettings().redirect_uris),
            issue_refresh_tokens=options.refresh_tokens,
            member_token_ttl=timedelta(days=options.token_days),
        )
    except (OSError, OverflowError) as error:
        return f"Port {options.port} cannot be used ({error}); choose another with --port."

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with sandbox:
        sys.stdout.write(
            f"Sales Navigator sandbox: {sandbox.base_url}\n"
            f"Access token: {sandbox.access_token}\n"
            f"export AIRFLOW_CONN_SNAV_DEFAULT={shlex.quote(sandbox.connection_json())}\n"
        )
        sys.stdout.flush()
        stop.wait()
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_snav.sandbox",
        description="A Sales Navigator that runs on your laptop.",
    )
    parser.add_argument("--port", type=int, default=8900, help="0 chooses a free port (default: %(default)s)")
    parser.add_argument(
        "--speed",
        type=float,
        default=SandboxSettings().speed,
        help="simulated seconds of a job in one real second; only jobs are faster (default: %(default)s,"
        " an analytics export takes 3 seconds)",
    )
    parser.add_argument(
        "--no-queue", action="store_true", help="process the analytics jobs of a contract at the same time"
    )
    parser.add_argument("--any-token", action="store_true", help="accept any valid token for every call")
    parser.add_argument("--chunked", action="store_true", help="send downloads without a Content-Length")
    parser.add_argument(
        "--bulk-bytes", type=int, default=0, metavar="N", help="pad each file to at least N bytes"
    )
    parser.add_argument(
        "--redirect-uri",
        action="append",
        metavar="URL",
        help="a registered redirect address; repeat the option for several (default:"
        f" {', '.join(SandboxSettings().redirect_uris)})",
    )
    parser.add_argument(
        "--refresh-tokens", action="store_true", help="give a refresh token with a member's first token"
    )
    parser.add_argument(
        "--token-days",
        type=float,
        default=60,
        metavar="DAYS",
        help="lifetime of a member token in days (default: 60)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
