"""What landed files are called: no two exports share a name, and a re-run finds its own again."""

from __future__ import annotations

import datetime as dt
import hashlib
import re

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.models import Export
from airflow_provider_snav.landing.staged import leftover_of

_PLAIN_URN = re.compile(r"urn:li:([A-Za-z]+):([A-Za-z0-9-]+)")


def stem_of(export: Export) -> str:
    """The name all files of an export begin with: type, contract and time exported, up to the until.

    ``activity_contract-123456_20260101T000000Z_20260102T000000Z``
    """
    first, last = export.slices[0], export.slices[-1]
    until = last.window.until if last.window else None
    times = [_compact(moment) for moment in (first.start_at, until) if moment]
    return "_".join([export.export_type or export.kind, _slug(export.subject), *times])


def own_stem(filename: str) -> str:
    """The stem of a file name the DAG author chose.

    :raises SalesNavigatorConfigurationError: it would lie in another folder, or be hidden.
    """
    # Stores that copy to publish take *, ? and [ for patterns.
    if not filename or re.search(r"[/\\*?\[\x00-\x1f]", filename) or filename.startswith("."):
        raise SalesNavigatorConfigurationError(
            f"filename={filename!r} cannot be a file name: no slash, no *, ? or [, no leading dot. Folders"
            " belong into destination."
        )
    return filename.removesuffix(".csv")


def file_names(stem: str, count: int, suffix: str) -> list[str]:
    """The names of an export's files, in order: ``stem.csv``, or ``stem.part-0001.csv`` and so on.

    :param suffix: of the compression, such as ``.gz``.
    """
    if count == 1:
        return [f"{stem}.csv{suffix}"]
    return [f"{stem}.part-{number:04}.csv{suffix}" for number in range(1, count + 1)]


def manifest_name(stem: str) -> str:
    """The name of the file that lists the others."""
    return f"{stem}.manifest.json"


def belongs_to(stem: str, name: str) -> bool:
    """True for every file an earlier run of the same export may have left, also unfinished ones."""
    pattern = rf"{re.escape(stem)}(\.part-\d{{4,}})?\.csv(\.gz|\.zst)?"
    final = leftover_of(name) or name
    return final == manifest_name(stem) or re.fullmatch(pattern, final) is not None


def _compact(moment: dt.datetime) -> str:
    milliseconds = f".{moment.microsecond // 1000:03}" if moment.microsecond else ""
    return f"{moment:%Y%m%dT%H%M%S}{milliseconds}Z"


def _slug(urn: str) -> str:
    """A URN in letters, digits and dashes; what cannot be said so is told apart by a hash."""
    if match := _PLAIN_URN.fullmatch(urn):
        return "-".join(match.groups())
    readable = re.sub(r"[^A-Za-z0-9]+", "-", urn.removeprefix("urn:li:")).strip("-")
    return f"{readable[:80]}-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"
