"""The values in LinkedIn's answers.

Fields have LinkedIn's names in snake case. Times are aware UTC datetimes; in the answers they are numbers.
Unknown fields are ignored and unknown statuses are kept, because LinkedIn adds both without notice.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.windows import LEAST_MILLISECONDS, from_ms

_URN = re.compile(r"urn:li:[^\s:]+:\S+")


class JobStatus(StrEnum):
    """The documented statuses. A job may have another status, so compare the text and do not convert it."""

    ENQUEUED = "ENQUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    EXCEEDED_FILE_SIZE = "FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR"
    TIMED_OUT = "FAILED_DUE_TO_TIMED_OUT"
    DATA_DELAY = "FAILED_DUE_TO_DATA_DELAY"
    INTERNAL_ERROR = "FAILED_DUE_TO_INTERNAL_ERROR"


def has_failed(status: str | None) -> bool:
    """Return True for every status that begins with FAILED, documented or not."""
    return status is not None and status.startswith("FAILED")


def has_ended(status: str | None) -> bool:
    """Return True for COMPLETED and for every status that begins with FAILED, but for no unknown status."""
    return status == JobStatus.COMPLETED or has_failed(status)


class ExportType(StrEnum):
    """The data of an analytics export; the value of ``export_type``."""

    ACTIVITY = "activity"
    SEAT = "seat"
    ACTIVITY_OUTCOME = "activity_outcome"

    @property
    def has_whole_days(self) -> bool:
        """True for the seat export, whose rows are about whole days."""
        return self is ExportType.SEAT

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read an ``export_type``.

        :raises SalesNavigatorConfigurationError: it is not one of the three.
        """
        try:
            return cls(value)
        except ValueError:
            raise SalesNavigatorConfigurationError(
                f"export_type={value!r} does not exist. It is one of {', '.join(map(repr, map(str, cls)))}."
            ) from None


def contract_urn(contract: str | int) -> str:
    """Return the URN of a contract.

    :param contract: the URN, or the number alone.
    :raises SalesNavigatorConfigurationError: it is neither.
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
    :param has_reporting_access: True if the member may export this contract's data.
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
    """Return the URN of a CRM instance.

    :param crm_instance: the URN, or ``(key, value)``, such as ``("DYNAMICS", guid)``.
    :raises SalesNavigatorConfigurationError: it is neither.
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
    """Return True for a URN with the documented ``(KEY,VALUE)``. LinkedIn may accept others, too."""
    return re.fullmatch(r"urn:li:crmInstance:\([^(),]+,[^(),]+\)", urn) is not None


@dataclass(frozen=True, slots=True)
class SalesAccessToken:
    """A token for Sales Navigator's embedded pages. ``repr`` does not show the token."""

    token: str = field(repr=False)
    expiry_time: dt.datetime

    @classmethod
    def from_wire(cls, element: Mapping[str, Any]) -> Self:
        """Read one element. Its ``expiryTime`` is in epoch seconds; all other times are in milliseconds."""
        return cls(element["token"], from_ms(int(element["expiryTime"]) * 1000))


@dataclass(frozen=True, slots=True)
class ExportJob:
    """One job of either kind, as LinkedIn reports it.

    :param job_id: ``id`` of an analytics job, ``jobId`` of a CRM validation job.
    :param status: LinkedIn's text; see :class:`JobStatus` for the documented values.
    :param download_urls: only of a completed job. They are secret and expire; ``repr`` does not show them.
    :param expire_at: when the URLs expire.
    :param row_count: the rows of the CSV file without the header (analytics only).
    :param request_id: the id of the answer, for LinkedIn's support.
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
        """The first download URL. An analytics job has only one."""
        return self.download_urls[0] if self.download_urls else None

    @classmethod
    def from_wire(cls, job: Mapping[str, Any], request_id: str | None = None) -> Self:
        """Read a job of either kind, with every documented spelling of its fields."""
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
    # The example in the OpenAPI file has epoch seconds here.
    return from_ms(int(value) * (1000 if int(value) < LEAST_MILLISECONDS else 1))
