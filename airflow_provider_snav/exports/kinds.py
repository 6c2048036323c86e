"""The kinds of export: one table row holds all differences between them.

To add a kind, add a row here, write an operator, and add its jobs and its file to the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from airflow_provider_snav.api import calls
from airflow_provider_snav.api.messages import Call, Credential
from airflow_provider_snav.api.models import ExportJob

if TYPE_CHECKING:
    from airflow_provider_snav.exports.export import Export, Slice


class ExportKind(StrEnum):
    """The two asynchronous exports of LinkedIn."""

    ANALYTICS = "analytics"
    CRM_VALIDATION = "crm_validation"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of export.

    :param subject: the name of the subject in JSON and as an argument.
    :param credential: the token family of its calls and downloads.
    :param create: returns the call that submits the job of a slice.
    :param get: returns the call that reads the status of a job, from its id and the subject's URN.
    :param label: its name in messages and files; None if the export type is the name.
    :param is_queued: True if LinkedIn runs one job of a subject at a time, and the others wait.
    :param is_open_ended: True if the time to export ends with the creation of the job. LinkedIn then suggests
        the start of the next export, which a watermark can store.
    """

    subject: str
    credential: Credential
    create: Callable[[Export, Slice], Call[ExportJob]]
    get: Callable[[int, str], Call[ExportJob]]
    label: str | None = None
    is_queued: bool = False
    is_open_ended: bool = False


def _create_analytics(export: Export, part: Slice) -> Call[ExportJob]:
    assert export.export_type
    assert part.end_at
    return calls.create_analytics_export(export.export_type, export.subject, part.start_at, part.end_at)


KINDS: Final = {
    ExportKind.ANALYTICS: Kind(
        subject="contract",
        credential=Credential.MEMBER,
        create=_create_analytics,
        get=calls.get_analytics_export,
        is_queued=True,
    ),
    ExportKind.CRM_VALIDATION: Kind(
        subject="crm_instance",
        credential=Credential.APPLICATION,
        create=lambda export, part: calls.create_crm_validation_export(export.subject, part.start_at),
        get=calls.get_crm_validation_export,
        label="CRM validation",
        is_open_ended=True,
    ),
}
"""The key is the kind's name in JSON."""
