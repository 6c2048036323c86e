"""What waiting costs the triggerer: CPU a poll, look-ups of the connection, and the lag of its event loop.

Each side is a process of its own in which Airflow's ``TriggerRunner.run_trigger`` runs the triggers, with
logs configured as a triggerer's runner has them. All speak https to one server of another process that
answers at once "still running", as every such API is https and dbt Cloud's trigger knows nothing else. All
poll equally often. That is generous to the peers: addresses are numbers (they would look a name up for each
poll, since each poll has a session of its own), answers are the shortest there can be, and the connection is
in the environment instead of behind the supervisor.

The bare session is no trigger one would run: a loop around ``session.get`` of one session all share, without
retries, time limits of its own, proxies or log. It shows what aiohttp and TLS cost by themselves.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from benchmarks.measure import Question, Row, Sample
from benchmarks.triggerer_server import Server, still_running

_RUNS = 3
_PEERS = {"http": "http provider's HttpSensorTrigger", "dbt": "dbt Cloud's trigger"}
_BARE = "bare shared aiohttp session"
_BEYOND = (
    "what a poll does beyond the bare session's is the schedule, the token, the retries, the checked answer"
    " and the report: 20 us when run by themselves again and again, more beside a thousand others."
)
_FEW = ("1000", "3", "5")
"""Triggers, their poll interval, and how long they are watched, in seconds."""
_MANY = ("5000", "15", "4")


def ask() -> list[Question]:
    """Measure all sides in turns."""
    with _server() as (server, environment):

        def run(side: str, load: tuple[str, str, str]) -> dict[str, float]:
            server.polls = 0
            command = [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "benchmarks.triggerer_load",
                side,
                *load,
                server.https,
            ]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            costs: dict[str, float] = json.loads(done.stdout)
            return costs

        few: dict[str, list[dict[str, float]]] = {side: [] for side in ("bare", "ours", *_PEERS)}
        for _ in range(_RUNS):
            for side, costs in few.items():
                costs.append(run(side, _FEW))
        many = {side: run(side, _MANY) for side in ("ours", *_PEERS)}
    return [_polls(few), _starts(few), _lag(many)]


def _polls(costs: dict[str, list[dict[str, float]]]) -> Question:
    taken = {side: _sample(runs, "poll") for side, runs in costs.items()}
    rows = [Row(_BARE, taken["ours"], taken["bare"], "us", 1.3, _BEYOND)]
    for side, peer in _PEERS.items():
        least = taken["bare"].median / taken[side].median
        note = (
            f"the bare session already takes {least:.2g} of it, and 1.3 of that, our target beside it, is"
            f" {1.3 * least:.2g}."
        )
        rows.append(Row(peer, taken["ours"], taken[side], "us", 0.25, note if least > 0.25 / 1.3 else ""))
    return Question("CPU of one poll, 1,000 triggers waiting", rows)


def _starts(costs: dict[str, list[dict[str, float]]]) -> Question:
    rows = []
    for side, peer in _PEERS.items():
        for what, key, unit in (
            ("look-ups of the connection", "lookups", "look-ups"),
            ("CPU of a poll until then", "starting_poll", "us"),
        ):
            ours, theirs = _sample(costs["ours"], key), _sample(costs[side], key)
            rows.append(Row(f"{peer}: {what}", ours, theirs, unit, None))
    return Question("1,000 triggers start, until all have polled", rows)


def _lag(costs: dict[str, dict[str, float]]) -> Question:
    lags = {side: Sample((cost["lag"],)) for side, cost in costs.items()}
    rows = [Row("100 ms", lags["ours"], Sample((100.0,)), "ms", 1.0)]
    rows += [Row(peer, lags["ours"], lags[side], "ms", None) for side, peer in _PEERS.items()]
    return Question("Event-loop lag with 5,000 waiting exports, 99th percentile", rows)


def _sample(runs: list[dict[str, float]], key: str) -> Sample:
    return Sample(tuple(run[key] for run in runs))


@contextmanager
def _server() -> Iterator[tuple[Server, dict[str, str]]]:
    authority = trustme.CA()
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(certificate)
    with tempfile.TemporaryDirectory() as folder, still_running(certificate) as server:
        trusted = Path(folder) / "authority.pem"
        authority.cert_pem.write_to_path(str(trusted))
        https = f"https://{server.https}"
        connections = {
            "SNAV_DEFAULT": {"conn_type": "snav", "host": f"{https}/v2", "password": "token"},
            "HTTP_DEFAULT": {"conn_type": "http", "host": https},
            # Its hook puts the scheme in front.
            "DBT_CLOUD_DEFAULT": {"conn_type": "dbt_cloud", "host": server.https, "password": "token"},
        }
        yield (
            server,
            os.environ
            | {f"AIRFLOW_CONN_{name}": json.dumps(fields) for name, fields in connections.items()}
            | {
                "AIRFLOW_HOME": folder,
                "AIRFLOW__SECRETS__BACKEND": "benchmarks.triggerer_backend.CountingBackend",
                "COUNT_AT": server.http,
                # What aiohttp trusts by itself, and what our hooks take for it.
                "SSL_CERT_FILE": str(trusted),
                "REQUESTS_CA_BUNDLE": str(trusted),
            },
        )
