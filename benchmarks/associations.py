"""Who 500 CRM records are, each request answered after 50 ms: batched, beside one request a record.

Both are the hook's, over kept connections: ``batch_get_profile_associations``, which sends as many keys a
request as LinkedIn's 4 KB of query allow, four requests at a time, and ``get_profile_association``.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.sandbox.faults import Delay
from benchmarks.landing_runs import sandboxed
from benchmarks.measure import Question, Row, alternate

KEYS = [{"instance_id": "org.example", "partner": "MS", "record_id": f"{n:012}"} for n in range(500)]
LATENCY = dt.timedelta(milliseconds=50)
_TIMES = 1


def ask() -> list[Question]:
    """How much sooner all answers are there."""
    with sandboxed() as sandbox:
        sandbox.fault("associations", Delay(LATENCY), times=None)
        taken = alternate(
            {"ours": partial(_seconds, _batched), "theirs": partial(_seconds, _one_by_one)},
            _TIMES,
            rehearse=False,
        )
    row = Row("one request a key", taken["ours"], taken["theirs"], "s", 1 / 20)
    return [Question(f"{len(KEYS)} profile keys, each request answered after 50 ms", [row])]


def _seconds(ask_for: Callable[[SalesNavigatorHook], list[Any]]) -> float:
    with SalesNavigatorHook() as hook:
        began = time.perf_counter()
        answers = ask_for(hook)
        seconds = time.perf_counter() - began
    assert len(answers) == len(KEYS)
    return seconds


def _batched(hook: SalesNavigatorHook) -> list[Any]:
    return list(hook.batch_get_profile_associations(KEYS))


def _one_by_one(hook: SalesNavigatorHook) -> list[Any]:
    return [hook.get_profile_association(**key) for key in KEYS]
