"""Stores the Export between the tries of a task, in Airflow's task state store (3.3 and later)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import Context
from airflow_provider_snav._stopping import Stopping
from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.windows import to_text
from airflow_provider_snav.exports.export import Export

STATE_KEY = "snav_export"
PUBLISHING_KEY = "snav_publishing"


class TaskMemory:
    """Keeps the Export of a task instance after crashes, retries and clears.

    A crash between LinkedIn's answer to a submission and the next write loses the job id. The next try then
    submits once more. LinkedIn's API has no idempotency key that could prevent it.

    :param context: the context of the running task.
    :param export: the Export at any stage. Only stored jobs of the same data and time are used.
    :param enabled: the operator's ``durable``.

    ``stored`` is the Export that a retry will find; None without a task state store or without ``durable``.
    ``is_behind`` is True if the last write failed.
    """

    def __init__(self, context: Context, export: Export, *, enabled: bool) -> None:
        self._store: Any = context.get("task_state_store") if enabled else None
        self._fingerprint = _fingerprint(export)
        # A task that resumes has stored this Export before it deferred.
        self.stored = None if self._store is None else export
        self.is_behind = False
        task_instance = context["ti"]
        # Clearing a finished task raises max_tries; a retry does not.
        self._epoch = (getattr(task_instance, "max_tries", None) or 0) - (
            getattr(context.get("task"), "retries", None) or 0
        )

    def recall(self) -> Export | None:
        """Return the stored Export to continue with; None for a new export.

        A task always continues an unfinished Export. It uses a finished Export only in a retry, because a
        user who clears a successful task wants a new export.

        :raises SalesNavigatorError: the task state cannot be read, so nothing may be submitted.
        """
        try:
            stored = self._store.get(STATE_KEY) if self._store is not None else None
        except Exception as error:
            raise SalesNavigatorError(
                f"The task state {STATE_KEY!r} could not be read ({type(error).__name__}), so it is unknown"
                " whether a job runs at LinkedIn."
            ) from error
        if stored is None:
            return None
        try:
            if stored["fingerprint"] != self._fingerprint:
                return None
            export = Export.from_json(stored["export"])
            finished = stored.get("finished", export.is_completed)
            if not export.has_begun or (finished and stored["epoch"] != self._epoch):
                return None
        except (KeyError, TypeError, ValueError) as error:
            raise SalesNavigatorError(
                f"The task state {STATE_KEY!r} cannot be read ({type(error).__name__}: {error}), so it is"
                " unknown whether a job runs at LinkedIn. Delete that task state, then retry."
            ) from None
        self.stored = export
        return export

    def remember(self, export: Export, *, finished: bool = False) -> None:
        """Store the Export.

        :param finished: True if the task ends with success now, even if its jobs still run.
        :raises SalesNavigatorError: the write failed, for example because Airflow has ended this try.
        """
        if self._store is None:
            return
        state = {
            "fingerprint": self._fingerprint,
            "epoch": self._epoch,
            "export": export.to_json(),
            "finished": finished or export.is_completed,
        }
        self.is_behind = True
        _write(self._store, STATE_KEY, state)
        self.is_behind, self.stored = False, export


def confirm_try(context: Context, stopping: Stopping) -> None:
    """Check, before files are published, that Airflow has not ended this try.

    A frozen worker may continue after another try has landed the same files. Airflow 3.3 and later refuse a
    write of a try that has ended.

    :raises SalesNavigatorStoppedError: Airflow stopped the task.
    :raises SalesNavigatorError: Airflow refused the write, or did not answer.
    """
    store = context.get("task_state_store")
    if store is not None:
        _write(store, PUBLISHING_KEY, {"at": to_text(now())})
    stopping.check()


def _write(store: Any, key: str, value: Any) -> None:
    try:
        store.set(key, value)
    except SalesNavigatorError:
        raise
    except Exception as error:
        raise SalesNavigatorError(
            f"The task state {key!r} could not be written ({type(error).__name__}). Either Airflow has ended"
            " this try, or its API server does not answer."
        ) from error


def _fingerprint(export: Export) -> str:
    """Return a hash of the data and time to export. Submitting, halving and polling do not change it."""
    last = export.slices[-1].window
    asked = [
        export.kind,
        export.export_type,
        export.subject,
        to_text(export.slices[0].start_at),
        last and to_text(last.until),
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
