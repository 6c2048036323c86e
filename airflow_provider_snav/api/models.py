"""What LinkedIn answers, and the Export: the one value that crosses Airflow's boundaries.

Fields are LinkedIn's names in snake case. Times are aware UTC datetimes, whatever unit the wire has.
Unknown fields are ignored and unknown statuses kept as they are: LinkedIn adds both without notice.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.windows import LEAST_MILLISECONDS, Window, from_ms, parse_time, to_text

MAX_SLICES = 64
_URN = re.compile(r"urn:li:[^\s:]+:\S+")


class JobStatus(StrEnum):
    """The documented statuses. A job may report others: compare, never convert."""

    ENQUEUED = "ENQUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    EXCEEDED_FILE_SIZE = "FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR"
    TIMED_OUT = "FAILED_DUE_TO_TIMED_OUT"
    DATA_DELAY = "FAILED_DUE_TO_DATA_DELAY"
    INTERNAL_ERROR = "FAILED_DUE_TO_INTERNAL_ERROR"


def has_failed(status: str | None) -> bool:
    """True for every ``FAILED...`` status, also those the documents do not list."""
    return status is not None and status.startswith("FAILED")


class ExportKind(StrEnum):
    """The two asynchronous exports LinkedIn offers."""

    ANALYTICS = "analytics"
    CRM_VALIDATION = "crm_validation"


class ExportType(StrEnum):
    """What an analytics export holds; the value of ``export_type``."""

    ACTIVITY = "activity"
    SEAT = "seat"
    ACTIVITY_OUTCOME = "activity_outcome"

    @classmethod
    def parse(cls, value: str) -> Self:
        """:raises SalesNavigatorConfigurationError: not one of the three."""
        try:
            return cls(value)
        except ValueError:
            raise SalesNavigatorConfigurationError(
                f"export_type={value!r} does not exist. It is one of {', '.join(map(repr, map(str, cls)))}."
            ) from None


def contract_urn(contract: str | int) -> str:
    """The URN of a contract given as a URN or as its bare number.

    :raises SalesNavigatorConfigurationError: neither of the two.
    """
    text = str(contract).strip()
    if text.isascii() and text.isdecimal():
        return f"urn:li:contract:{text}"
    if _URN.fullmatch(text):
        return text
    raise SalesNavigatorConfigurationError(
        f"contract={contract!r} is not a contract. Give its URN, 'urn:li:contract:123456', or the number"
        " alone; SalesNavigatorListContractsOperator lists the contracts of a token."
    )


@dataclass(frozen=True, slots=True)
class Contract:
    """One element of ``/salesContracts``.

    :param contract: the URN.
    :param has_reporting_access: whether the member may export this contract's data.
    """

    contract: str
    name: str
    has_reporting_access: bool
    description: str | None = None

    @classmethod
    def from_wire(cls, element: Mapping[str, Any]) -> Self:
        return cls(
            contract=element["contract"],
            name=element.get("name", ""),
            has_reporting_access=element.get("hasReportingAccess") is True,
            description=element.get("description"),
        )


DOCUMENTED_CRM_INSTANCE = "urn:li:crmInstance:(KEY,VALUE)"


def crm_instance_urn(crm_instance: str | Sequence[str]) -> str:
    """The URN of a CRM instance given as a URN or as ``(key, value)``, such as ``("DYNAMICS", guid)``.

    :raises SalesNavigatorConfigurationError: neither of the two.
    """
    match crm_instance:
        case str() if _URN.fullmatch(crm_instance.strip()):
            return crm_instance.strip()
        case [str(key), str(value)] if key and value:
            return f"urn:li:crmInstance:({key},{value})"
    raise SalesNavigatorConfigurationError(
        f"crm_instance={crm_instance!r} is not a CRM instance. Give its URN,"
        " 'urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)', or its two parts as a tuple."
    )


def is_documented_crm_instance(urn: str) -> bool:
    """False for a URN without the documented ``(KEY,VALUE)``; LinkedIn may know it all the same."""
    return re.fullmatch(r"urn:li:crmInstance:\([^(),]+,[^(),]+\)", urn) is not None


@dataclass(frozen=True, slots=True)
class SalesAccessToken:
    """A token for Sales Navigator's embedded pages. ``repr`` does not show it."""

    token: str = field(repr=False)
    expiry_time: dt.datetime

    @classmethod
    def from_wire(cls, element: Mapping[str, Any]) -> Self:
        """Read one element; its ``expiryTime`` is in seconds, unlike every other time here."""
        return cls(element["token"], from_ms(int(element["expiryTime"]) * 1000))


@dataclass(frozen=True, slots=True)
class ExportJob:
    """One job as LinkedIn reports it, of either kind.

    :param job_id: ``id`` of analytics jobs, ``jobId`` of CRM validation jobs.
    :param status: the status as written; see :class:`JobStatus` for the documented ones.
    :param download_urls: secret, short-lived; only when completed. Never shown by ``repr``.
    :param expire_at: when the URLs stop working.
    :param row_count: rows of the CSV without its header (analytics only).
    :param request_id: of the answer this was read from; LinkedIn support asks for it.
    """

    job_id: int
    status: str
    download_urls: tuple[str, ...] = field(default=(), repr=False)
    expire_at: dt.datetime | None = None
    row_count: int | None = None
    export_start_at: dt.datetime | None = None
    export_end_at: dt.datetime | None = None
    next_export_start_at: dt.datetime | None = None
    request_id: str | None = field(default=None, compare=False)

    @property
    def download_url(self) -> str | None:
        """The first download URL; analytics jobs have no other."""
        return self.download_urls[0] if self.download_urls else None

    @classmethod
    def from_wire(cls, job: Mapping[str, Any], request_id: str | None = None) -> Self:
        """Read a job of either kind; both spellings of every field are accepted."""
        urls = job.get("downloadUrls") or job.get("downloadUrl") or job.get("downloadURL") or ()
        row_count = job.get("rowCount")
        return cls(
            job_id=int(job["id"] if "id" in job else job["jobId"]),
            status=str(job["status"]),
            download_urls=(urls,) if isinstance(urls, str) else tuple(urls),
            expire_at=_moment(job.get("expireAt")),
            row_count=None if row_count is None else int(row_count),
            export_start_at=_moment(job.get("exportStartAt")),
            export_end_at=_moment(job.get("exportEndAt")),
            next_export_start_at=_moment(job.get("nextExportStartAt")),
            request_id=request_id,
        )


def _moment(value: Any) -> dt.datetime | None:
    if value is None:
        return None
    # The OpenAPI file's example has seconds here.
    return from_ms(int(value) * (1000 if int(value) < LEAST_MILLISECONDS else 1))


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of an export that one job produces.

    :param start_at: first moment exported.
    :param end_at: last moment exported; None for CRM validation, which always runs up to its creation.
    :param shares_end: see :class:`~airflow_provider_snav.api.windows.Window`.
    :param job_id: the current job, None before it is submitted.
    :param status: the last status seen.
    :param attempt: how many jobs were submitted for this slice; its halves begin at 0 again.
    :param not_before: a failed job is submitted again at this time, not earlier.
    :param submitted_at: when the current job was submitted; None as well in an Export that 0.1.0 wrote.
    :param processing_at: when the current job was first seen in another status than ENQUEUED.
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
        """A job exists and has not ended; an unknown status counts as not ended."""
        return self.job_id is not None and not self.is_completed and not has_failed(self.status)

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
        )


@dataclass(frozen=True, slots=True)
class Export:
    """What was asked for and which jobs produce it. Holds no token and no download URL.

    :param kind: analytics or CRM validation.
    :param subject: the URN of the contract, or of the CRM instance.
    :param export_type: analytics only.
    :param slices: in order of time, at most 64.
    """

    kind: ExportKind
    subject: str
    export_type: ExportType | None
    slices: tuple[Slice, ...]

    def __post_init__(self) -> None:
        # Without a slice it would count as completed.
        if not 0 < len(self.slices) <= MAX_SLICES:
            raise ValueError(f"{len(self.slices)} slices: an Export has 1 to {MAX_SLICES}")

    @property
    def is_completed(self) -> bool:
        return all(part.is_completed for part in self.slices)

    @property
    def has_failed(self) -> bool:
        return any(has_failed(part.status) for part in self.slices)

    @property
    def running(self) -> Iterator[int]:
        """Positions of the slices whose job has not ended."""
        return (index for index, part in enumerate(self.slices) if part.is_running)

    @property
    def has_begun(self) -> bool:
        """True once a job was created, although it may have failed and be due to be submitted again."""
        return any(part.job_id or part.attempt for part in self.slices)

    @property
    def job_ids(self) -> list[int]:
        return [part.job_id for part in self.slices if part.job_id is not None]

    @property
    def title(self) -> str:
        """How messages call it: ``activity export of urn:li:contract:123456``."""
        return f"{self.export_type or 'CRM validation'} export of {self.subject}"

    def __str__(self) -> str:
        return f"{self.title}: " + "; ".join(map(str, self.slices))

    def with_slice(self, index: int, **changes: Any) -> Export:
        """A copy in which the slice at ``index`` has other values."""
        changed = replace(self.slices[index], **changes)
        return replace(self, slices=(*self.slices[:index], changed, *self.slices[index + 1 :]))

    def identity(self) -> dict[str, Any]:
        """What is exported, and whose: the JSON form without the slices."""
        subject = "contract" if self.kind is ExportKind.ANALYTICS else "crm_instance"
        return {
            "kind": str(self.kind),
            "export_type": self.export_type and str(self.export_type),
            subject: self.subject,
        }

    def to_json(self) -> dict[str, Any]:
        """The XCom, trigger and state form: plain JSON, times as ISO 8601 text."""
        return {**self.identity(), "slices": [part.to_json() for part in self.slices]}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what :meth:`to_json` wrote.

        :raises SalesNavigatorConfigurationError: not an Export.
        """
        try:
            kind = ExportKind(value["kind"])
            analytics = kind is ExportKind.ANALYTICS
            return cls(
                kind=kind,
                subject=value["contract" if analytics else "crm_instance"],
                export_type=ExportType.parse(value["export_type"]) if analytics else None,
                slices=tuple(map(Slice.from_json, value["slices"])),
            )
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise SalesNavigatorConfigurationError(
                "This is not an Export: give the output of a Sales Navigator export operator or sensor,"
                f" for example export=export.output ({type(error).__name__}: {error})."
            ) from None
