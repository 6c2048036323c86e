"""The Export: the data to export, and the jobs that produce the files.

It is the only value that XCom, trigger rows and the task state hold. It is JSON there, and holds no token and
no download URL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.messages import Call
from airflow_provider_snav.api.models import ExportJob, ExportType, JobStatus, has_ended, has_failed
from airflow_provider_snav.api.windows import Window, parse_time, to_text
from airflow_provider_snav.exports.kinds import KINDS, ExportKind, Kind

MAX_SLICES: Final = 64
"""The most jobs of one Export, so that it is small enough for XCom and trigger rows."""

_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of an export that one job produces.

    Times are aware datetimes.

    :param start_at: the first moment to export.
    :param end_at: the last moment to export. None for CRM validation, whose last moment is the creation of
        the job.
    :param shares_end: see :class:`~airflow_provider_snav.api.windows.Window`.
    :param job_id: the current job; None before the submission.
    :param status: the status in the last poll.
    :param attempt: the number of jobs submitted for this slice. It is 0 again for the halves of a slice.
    :param not_before: the earliest time at which a failed job is submitted again.
    :param submitted_at: when the current job was submitted. Also None in an Export that 0.1.0 wrote.
    :param processing_at: when a poll first found the current job in another status than ENQUEUED.
    :param is_half: True if it was cut from a slice whose job failed.
    """

    start_at: dt.datetime
    end_at: dt.datetime | None = None
    shares_end: bool = False
    job_id: int | None = None
    status: str | None = None
    attempt: int = 0
    not_before: dt.datetime | None = None
    submitted_at: dt.datetime | None = None
    processing_at: dt.datetime | None = None
    is_half: bool = False

    @classmethod
    def of(cls, window: Window) -> Self:
        return cls(window.start_at, window.end_at, window.shares_end)

    @property
    def window(self) -> Window | None:
        """The closed window, None for CRM validation."""
        return Window(self.start_at, self.end_at, self.shares_end) if self.end_at else None

    @property
    def is_completed(self) -> bool:
        return self.status == JobStatus.COMPLETED

    @property
    def is_running(self) -> bool:
        """True if a job exists and has not ended. A job with an unknown status has not ended."""
        return self.job_id is not None and not has_ended(self.status)

    def __str__(self) -> str:
        covers = str(self.window) if self.window else f"from {to_text(self.start_at)}"
        return f"{covers} (job {self.job_id}, {self.status})" if self.job_id is not None else covers

    def to_json(self) -> dict[str, Any]:
        return {
            "start_at": to_text(self.start_at),
            "end_at": self.end_at and to_text(self.end_at),
            "shares_end": self.shares_end,
            "job_id": self.job_id,
            "status": self.status,
            "attempt": self.attempt,
            "not_before": self.not_before and to_text(self.not_before),
            "submitted_at": self.submitted_at and to_text(self.submitted_at),
            "processing_at": self.processing_at and to_text(self.processing_at),
            "is_half": self.is_half,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        def moment(name: str) -> dt.datetime | None:
            return parse_time(value[name], name) if value.get(name) else None

        return cls(
            start_at=parse_time(value["start_at"], "start_at"),
            end_at=moment("end_at"),
            shares_end=bool(value.get("shares_end", False)),
            job_id=None if value.get("job_id") is None else int(value["job_id"]),
            status=value.get("status"),
            attempt=value.get("attempt", 0),
            not_before=moment("not_before"),
            submitted_at=moment("submitted_at"),
            processing_at=moment("processing_at"),
            is_half=bool(value.get("is_half", False)),
        )


@dataclass(frozen=True, slots=True)
class Export:
    """The data to export, and the jobs that produce the files. Holds no token and no download URL.

    :param kind: analytics or CRM validation.
    :param subject: the URN of the contract or of the CRM instance.
    :param export_type: only for analytics.
    :param slices: 1 to 64 slices, in order of time.
    :raises ValueError: there is no slice, or there are too many.
    """

    kind: ExportKind
    subject: str
    export_type: ExportType | None
    slices: tuple[Slice, ...]

    def __post_init__(self) -> None:
        # An Export without slices would count as completed.
        if not 0 < len(self.slices) <= MAX_SLICES:
            raise ValueError(f"{len(self.slices)} slices: an Export has 1 to {MAX_SLICES}")

    @property
    def is_completed(self) -> bool:
        return all(part.is_completed for part in self.slices)

    @property
    def has_failed(self) -> bool:
        return any(has_failed(part.status) for part in self.slices)

    @property
    def running(self) -> list[Slice]:
        """The slices whose job has not ended, in the order of their submission."""
        # Version 0.1.0 stored no submission times, and submitted jobs in the order of the slices.
        return sorted(
            (part for part in self.slices if part.is_running), key=lambda part: part.submitted_at or _LONG_AGO
        )

    @property
    def has_begun(self) -> bool:
        """True if a job was created, even if it failed and is to be submitted again."""
        return any(part.job_id or part.attempt or part.is_half for part in self.slices)

    @property
    def job_ids(self) -> list[int]:
        return [part.job_id for part in self.slices if part.job_id is not None]

    @property
    def rules(self) -> Kind:
        """The row of its kind in :data:`KINDS`."""
        return KINDS[self.kind]

    @property
    def has_whole_days(self) -> bool:
        """True if its windows begin and end at midnight UTC."""
        return self.export_type is not None and self.export_type.has_whole_days

    @property
    def data(self) -> str:
        """The name of the data: the export type, or the kind if it has no types."""
        return str(self.export_type or self.kind)

    @property
    def title(self) -> str:
        """The name in messages: ``activity export of urn:li:contract:123456``."""
        return f"{self.rules.label or self.export_type} export of {self.subject}"

    def __str__(self) -> str:
        return f"{self.title}: " + "; ".join(map(str, self.slices))

    def create_job(self, part: Slice) -> Call[ExportJob]:
        """Return the call that submits the job of a slice."""
        return self.rules.create(self, part)

    def get_job(self, part: Slice) -> Call[ExportJob]:
        """Return the call that reads the status of a slice's job."""
        assert part.job_id is not None
        return replace(self.rules.get(part.job_id, self.subject), submitted_at=part.submitted_at)

    def with_slice(self, part: Slice, changed: Slice) -> Export:
        """Return a copy with ``changed`` in the place of ``part``."""
        return replace(self, slices=tuple(changed if each == part else each for each in self.slices))

    def identity(self) -> dict[str, Any]:
        """Return the JSON form without the slices."""
        return {
            "kind": str(self.kind),
            "export_type": self.export_type and str(self.export_type),
            self.rules.subject: self.subject,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the form in XCom, trigger rows and task state: JSON with times as ISO 8601 text."""
        return {**self.identity(), "slices": [part.to_json() for part in self.slices]}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the result of :meth:`to_json`, of any version since 0.1.0.

        :raises SalesNavigatorConfigurationError: it is not an Export.
        """
        try:
            kind = ExportKind(value["kind"])
            return cls(
                kind=kind,
                subject=value[KINDS[kind].subject],
                export_type=None if KINDS[kind].label else ExportType.parse(value["export_type"]),
                slices=tuple(map(Slice.from_json, value["slices"])),
            )
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise SalesNavigatorConfigurationError(
                "This is not an Export: give the output of a Sales Navigator export operator or sensor,"
                f" for example export=export.output ({type(error).__name__}: {error})."
            ) from None
