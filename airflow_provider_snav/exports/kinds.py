"""The kinds of export: one row each for everything in which they differ.

To add a kind, add a row here and write an operator for it; the sandbox then needs its jobs and its file.
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
    """The two asynchronous exports LinkedIn offers."""

    ANALYTICS = "analytics"
    CRM_VALIDATION = "crm_validation"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is particular to one kind of export.

    :param subject: the name of what it exports, in JSON and as an argument.
    :param credential: the token family of its calls and downloads.
    :param create: the call that submits the job of a slice.
    :param get: the call that reads the status of a job, by its id and the export's subject.
    :param label: its name in messages and files; None where the export type is the name.
    :param is_queued: LinkedIn runs one job of a subject at a time, and the others wait.
    :param is_open_ended: an export runs up to the creation of its job. LinkedIn then says where the next one
        should begin, which a watermark can keep.
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
"""By the kind's name in JSON."""
