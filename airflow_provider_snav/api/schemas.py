"""The columns that LinkedIn documents for each export: type, unit, source, and doubts about the document.

The types of Parquet files, the fields of OpenLineage events, the sandbox's files and the tables in ``docs/``
use this module. LinkedIn adds columns without notice, and some of its lists were not available to us. So a
file is always read by its own header, and a column that is not listed here is text.

Documents: https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/exports-schema and
https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SALES: Final = "https://learn.microsoft.com/en-us/linkedin/sales"
_ANALYTICS: Final = f"{_SALES}/analytics-services/exports-schema"
_CRM: Final = f"{_SALES}/sync-services/exporting-crm-data-validation"


class Form(StrEnum):
    """The form of a column's values in the CSV file."""

    TEXT = "text"
    LONG = "whole number"
    UTC_TEXT = "MM-DD-YYYY HH:MM:SS in UTC"
    EPOCH_MS = "epoch milliseconds"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an export.

    :param name: the name in the header of the CSV file.
    :param type: LinkedIn's name of the type; empty if LinkedIn does not document the column.
    :param form: the form of the values in the CSV file, including the unit.
    :param optional: True if LinkedIn says that the field may be empty.
    :param meaning: LinkedIn's description.
    :param doubt: why the description may be wrong or incomplete; empty if there is no doubt.
    """

    name: str
    type: str = ""
    form: Form = Form.TEXT
    optional: bool = True
    meaning: str = ""
    doubt: str = ""

    @property
    def documented(self) -> bool:
        """True if LinkedIn documents the column."""
        return self.type != ""

    @property
    def description(self) -> str:
        """Meaning, form and doubt as one line; empty for an undocumented column."""
        form = "" if self.form is Form.TEXT else str(self.form)
        return "; ".join(filter(None, (self.meaning, form, self.doubt and f"doubt: {self.doubt}")))


@dataclass(frozen=True, slots=True)
class Schema:
    """The documented columns of one export, in the order of LinkedIn's document.

    :param columns: the documented columns.
    :param source: the address of that document.
    :param complete: False if part of LinkedIn's list was not available to us.
    :param doubt: what is unknown about the file as a whole.
    """

    columns: tuple[Column, ...]
    source: str
    complete: bool
    doubt: str = ""

    def named(self, names: Iterable[str]) -> list[Column]:
        """The columns of a file's header, in its order.

        :param names: the column names of the header.
        :returns: one column for each name; an undocumented column is optional text.
        """
        known = {column.name: column for column in self.columns}
        return [known.get(name) or Column(name) for name in names]


_ACTIVITY: Final = Schema(
    (
        Column("activityId", "string", optional=False, meaning="unique id of the activity"),
        Column(
            "activityType",
            "string",
            optional=False,
            meaning="type of the activity",
            doubt="a published report has PROFILE_VIEW for PROFILE_VIEWED: accept any text",
        ),
        Column("createdAt", "string", Form.UTC_TEXT, optional=False, meaning="time of the activity"),
        Column("seatId", "long", Form.LONG, optional=False, meaning="seat of the member who acted"),
        Column(
            "memberIdentityKey",
            "string",
            meaning="lead the activity is about",
            doubt="empty if the activity has no lead, for example for a saved account",
        ),
    ),
    source=_ANALYTICS,
    complete=True,
)

_ACTIVITY_OUTCOME: Final = Schema(
    (
        Column(
            "activityId",
            "string",
            optional=False,
            meaning="id of the activity the outcome belongs to",
            doubt="one activity may have several outcomes, and may lie outside the window",
        ),
        Column(
            "activityType",
            "string",
            optional=False,
            meaning="type of the outcome",
            doubt="not the activityType of the activity export; its values were not available to us",
        ),
    ),
    source=_ANALYTICS,
    complete=False,
    doubt="more columns exist; their list was not available to us",
)

_SEAT: Final = Schema(
    (),
    source=_ANALYTICS,
    complete=False,
    doubt="the list of columns was not available to us; the files hold names and probably e-mail addresses",
)

_CRM_VALIDATION: Final = Schema(
    (
        Column("crmId", "string", optional=False, meaning="unique id of the record in the CRM"),
        Column(
            "crmRecordType",
            "string",
            optional=False,
            meaning="type of the record; the valid value is CONTACT",
            doubt="the same page says that leads are exported too: accept any text",
        ),
        Column(
            "expiredAt",
            "long",
            Form.EPOCH_MS,
            optional=False,
            meaning="time at which the export was started from",
            doubt="by its name, the time at which the record went stale",
        ),
        Column(
            "createdAt",
            "long",
            Form.EPOCH_MS,
            optional=False,
            meaning="time for the end bound of the export",
            doubt="by its name, the time of the row",
        ),
    ),
    source=_CRM,
    complete=True,
    doubt="the page may be cut after the last column",
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "activity": _ACTIVITY,
    "activity_outcome": _ACTIVITY_OUTCOME,
    "seat": _SEAT,
    "crm_validation": _CRM_VALIDATION,
}
"""The schema of each export. The key is the ``export_type`` of an analytics export, or ``crm_validation``."""
