"""How long an export of half an hour holds a worker, deferrable and with the http provider's sync operators.

Nobody waits half an hour here. Every phase that runs on a worker is a process of its own, and what it holds
is that process's life, imports included: of ours the submission up to the deferral, and the resumption after
the trigger; of the http provider the ``HttpOperator`` that submits, and the ``HttpSensor`` that waits. The
job measured takes five seconds. The rest of thirty minutes is added to the side whose process lives while the
job runs; of ours there is none meanwhile.

The sensor pokes every second, so that it loses nothing by noticing late; its default is a minute. Waiting in
the triggerer is not counted here: see ``triggerer.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from typing import Any

from airflow_provider_snav.sandbox.server import Sandbox
from benchmarks.measure import Question, Row, alternate

_RUNS = 2
_JOB = 5.0
_REST = 30 * 60.0 - _JOB
"""Seconds."""


def ask() -> list[Question]:
    """Run both in turns."""
    with tempfile.TemporaryDirectory() as home, Sandbox(speed=1) as sandbox:
        sandbox.settings.analytics_processing = timedelta(seconds=_JOB)
        environment = os.environ | {
            "AIRFLOW_HOME": home,
            "AIRFLOW_CONN_SNAV_DEFAULT": sandbox.connection_json(),
            "AIRFLOW_CONN_HTTP_DEFAULT": _http_connection(sandbox),
        }
        held = alternate(
            {"ours": lambda: _deferrable(environment), "theirs": lambda: _sync(environment) + _REST},
            _RUNS,
            rehearse=False,
        )
    row = Row("HttpOperator and HttpSensor", held["ours"], held["theirs"], "s", 0.01)
    return [Question("Worker-seconds held by a 30-minute export", [row])]


def _deferrable(environment: dict[str, str]) -> float:
    submitting, trigger = _phase("submit", None, environment)
    _, event = _phase("wait", trigger, environment)
    resuming, _ = _phase("resume", event, environment)
    return submitting + resuming


def _sync(environment: dict[str, str]) -> float:
    posting, job_id = _phase("post", None, environment)
    poking, _ = _phase("poke", job_id, environment)
    return posting + poking


def _phase(name: str, given: Any, environment: dict[str, str]) -> tuple[float, Any]:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.worker_phases", name],
        input=json.dumps(given).encode(),
        env=environment,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - begun, json.loads(done.stdout)


def _http_connection(sandbox: Sandbox) -> str:
    headers = {"Authorization": f"Bearer {sandbox.access_token}", "X-RestLi-Protocol-Version": "2.0.0"}
    return json.dumps({"conn_type": "http", "host": sandbox.base_url, "extra": headers})
