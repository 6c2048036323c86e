"""Names of landed files. By default, two exports never share a name, and a rerun has the same names."""

from __future__ import annotations

import datetime as dt
import hashlib
import re

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.landing.formats import SUFFIXES
from airflow_provider_snav.storage.staging import leftover_of

_SUFFIX = "|".join(map(re.escape, SUFFIXES.values()))
_PLAIN_URN = re.compile(r"urn:li:([A-Za-z]+):([A-Za-z0-9-]+)")


def base_name_of(export: Export, run: str) -> str:
    """Return the start of all file names of an export: its type, contract or CRM instance, and window.

    An example is ``activity_contract-123456_20260101T000000Z_20260102T000000Z``. The end of the window is not
    exported. The end of a CRM validation export is not known before, so the name has the DAG run instead:
    ``crm_validation_..._20260101T000000Z_run-20260108T000000Z``.

    :param export: the Export.
    :param run: the name of the DAG run, from :func:`run_name`.
    """
    last = export.slices[-1].window
    until = _compact(last.until) if last else f"run-{run}"
    start = _compact(export.slices[0].start_at)
    return "_".join([export.data, _slug(export.subject), start, until])


def run_name(logical_date: dt.datetime | None, run_id: str) -> str:
    """Return the name of a DAG run for file names: its logical date, or its id if it has no logical date."""
    return _compact(logical_date.astimezone(dt.UTC)) if logical_date else _readable(run_id)


def chosen_base_name(filename: str | int) -> str:
    """Return the base name of a file name that the DAG author chose.

    :param filename: text, or a number, because native rendering makes a number of ``{{ ds_nodash }}``.
    :raises SalesNavigatorConfigurationError: it cannot be a file name, it names another folder, or a file of
        this name would be hidden.
    """
    if type(filename) is int:
        filename = str(filename)
    if not isinstance(filename, str):
        raise SalesNavigatorConfigurationError(
            f"filename={filename!r} must be text. Leave it out for a name of type, contract and window."
        )
    # Stores that publish by a copy read *, ? and [ as patterns.
    if not filename.strip() or re.search(r"[/\\*?\[\x00-\x1f\x7f-\x9f]|^[.\s]|\s$", filename):
        raise SalesNavigatorConfigurationError(
            f"filename={filename!r} cannot be a file name: no slash, no *, ? or [, no leading dot, no blank"
            " at either end. Folders belong into destination."
        )
    # file_names() adds the suffix of the format again.
    base_name = re.sub(rf"({_SUFFIX})$", "", filename)
    if base_name == "None":
        raise SalesNavigatorConfigurationError(
            f"filename={filename!r} is the text of an empty template value. Correct the"
            " template, or leave filename out for a name of type, contract and window."
        )
    if re.search(r"\.part-\d{4,}$", base_name):
        raise SalesNavigatorConfigurationError(
            f"filename={filename!r} ends like a part of another export; parts are numbered by themselves."
        )
    return base_name


def file_names(base_name: str, count: int, suffix: str) -> list[str]:
    """Return the names of an export's files, in order: ``name.csv``, or ``name.part-0001.csv`` and so on.

    :param base_name: the start of every name.
    :param count: the number of files.
    :param suffix: of the format, such as ``.csv``.
    """
    if count == 1:
        return [f"{base_name}{suffix}"]
    return [f"{base_name}.part-{number:04}{suffix}" for number in range(1, count + 1)]


def manifest_name(base_name: str) -> str:
    """Return the name of the manifest, the file that lists all other files."""
    return f"{base_name}.manifest.json"


def belongs_to(base_name: str, name: str) -> bool:
    """Return True if a file may be from an earlier run of the same export, also if it is only staged."""
    pattern = rf"{re.escape(base_name)}(\.part-\d{{4,}})?({_SUFFIX})"
    final = leftover_of(name) or name
    return final == manifest_name(base_name) or re.fullmatch(pattern, final) is not None


def _compact(moment: dt.datetime) -> str:
    milliseconds = f".{moment.microsecond // 1000:03}" if moment.microsecond else ""
    return f"{moment:%Y%m%dT%H%M%S}{milliseconds}Z"


def _slug(urn: str) -> str:
    """Write a URN in letters, digits and dashes. A URN with other characters also gets a hash."""
    if match := _PLAIN_URN.fullmatch(urn):
        return "-".join(match.groups())
    return _readable(urn.removeprefix("urn:li:"))


def _readable(text: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    return f"{plain[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
