"""What a task remembers between its tries: the Export, in Airflow's task state store (3.3 and later)."""

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
    """The Export this task instance submitted, kept across crashes, retries and clears.

    Between LinkedIn's answer to a submission and the write that follows lies a moment in which a crash
    loses the job id: the next try then submits once more. LinkedIn has no key that would prevent it.

    :param context: of the running task.
    :param export: at any stage; an Export of something else never meets this one's jobs.
    :param enabled: the operator's ``durable``.

    ``stored`` is what a retry will find: nothing on an older Airflow, or where it is not ``durable``. It
    ``is_behind`` when the last write failed.
    """

    def __init__(self, context: Context, export: Export, *, enabled: bool) -> None:
        self._store: Any = context.get("task_state_store") if enabled else None
        self._fingerprint = _fingerprint(export)
        # A task that resumes was deferred with what it had stored.
        self.stored = None if self._store is None else export
        self.is_behind = False
        task_instance = context["ti"]
        # Clearing a finished task raises max_tries; a retry does not.
        self._epoch = (getattr(task_instance, "max_tries", None) or 0) - (
            getattr(context.get("task"), "retries", None) or 0
        )

    def recall(self) -> Export | None:
        """The Export to go on with, None to begin anew.

        Unfinished work is always taken up again. Finished work is only when this is a retry: clearing a
        success asks for a new export.

        :raises SalesNavigatorError: what is stored cannot be read; nothing may be submitted then.
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
        """Store the Export, before anything else can go wrong.

        :param finished: the task is about to succeed, whether or not its jobs are completed.
        :raises SalesNavigatorError: it could not be stored, perhaps because this try is over for Airflow.
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
    """Make sure, before something is published, that Airflow has not ended this try meanwhile.

    A worker that was frozen may come back after another try has landed the same files. Airflow 3.3 and later
    reject writes of a try that has ended.

    :raises SalesNavigatorStoppedError: Airflow stopped the task.
    :raises SalesNavigatorError: Airflow refused, or could not be reached.
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
            f"The task state {key!r} could not be written ({type(error).__name__}): Airflow has given this"
            " try up, or its API server does not answer."
        ) from error


def _fingerprint(export: Export) -> str:
    """What was asked; it stays the same while the Export is submitted, halved and polled."""
    last = export.slices[-1].window
    asked = [
        export.kind,
        export.export_type,
        export.subject,
        to_text(export.slices[0].start_at),
        last and to_text(last.until),
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
