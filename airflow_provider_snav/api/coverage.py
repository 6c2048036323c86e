"""Finds the landed file that is valid for each part of an export's time. Pure.

Two windows overlap if a window was exported again, and a failed run leaves a gap. For each moment the file
that landed last is valid.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

_MS = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Landed:
    """Files that landed together and hold the rows of one window.

    :param export: ``export_type`` of an analytics export, or ``crm_validation``.
    :param subject: URN of the contract or CRM instance.
    :param start_at: first moment of the window.
    :param until: the first moment after the window. LinkedIn's ``end_at`` is one millisecond earlier.
    :param uris: the files; empty if the window has no rows. If the event does not list all files, the folder.
    :param landed_at: the time of the landing. Of two windows that overlap, the later landing is valid.
    """

    export: str
    subject: str
    start_at: dt.datetime
    until: dt.datetime
    uris: tuple[str, ...]
    landed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """A span of time, the landing that is valid for it, and the earlier landings that are not."""

    start_at: dt.datetime
    until: dt.datetime
    landed: Landed
    overruled: tuple[Landed, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of time between two windows that no file covers."""

    start_at: dt.datetime
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class Coverage:
    """The landings of one export of one contract or CRM instance, in order of time.

    The answers do not overlap. Together with the gaps they cover the time from the first window to the last.
    """

    export: str
    subject: str
    answers: tuple[Answer, ...]
    gaps: tuple[Gap, ...]

    @property
    def overlaps(self) -> tuple[Answer, ...]:
        """The answers for whose time an earlier landing exists, too."""
        return tuple(answer for answer in self.answers if answer.overruled)


def coverage(landings: Iterable[Landed]) -> list[Coverage]:
    """Find the valid landing for each span of time.

    :param landings: from :func:`landed_of`, in any order. Of two that landed at the same moment, the second
        one is valid.
    :returns: one entry for each export and subject, in alphabetical order.
    """
    found: dict[tuple[str, str], list[Landed]] = defaultdict(list)
    for landed in landings:
        found[landed.export, landed.subject].append(landed)
    return [_coverage(export, subject, found[export, subject]) for export, subject in sorted(found)]


def _coverage(export: str, subject: str, landings: list[Landed]) -> Coverage:
    by_age = sorted(landings, key=lambda landed: landed.landed_at)
    moments = sorted({moment for landed in landings for moment in (landed.start_at, landed.until)})
    begins, ends = defaultdict(set), defaultdict(set)
    for place, landed in enumerate(by_age):
        begins[landed.start_at].add(place)
        ends[landed.until].add(place)
    covering: set[int] = set()
    spans = []
    for start_at, until in pairwise(moments):
        covering = covering - ends[start_at] | begins[start_at]
        spans.append((tuple(sorted(covering)), start_at, until))
    answers, gaps = [], []
    for places, same in groupby(spans, key=lambda span: span[0]):
        together = list(same)
        start_at, until = together[0][1], together[-1][2]
        if places:
            *overruled, landed = (by_age[place] for place in places)
            answers.append(Answer(start_at, until, landed, tuple(overruled)))
        else:
            gaps.append(Gap(start_at, until))
    return Coverage(export, subject, tuple(answers), tuple(gaps))


def landed_of(record: Mapping[str, Any], landed_at: dt.datetime) -> list[Landed]:
    """Read the ``extra`` of an asset event, or a manifest.

    :param landed_at: the timestamp of the event, or the time at which the manifest was written.
    :returns: one entry for each window.
    :raises KeyError: the record does not name its export, as manifests of version 0.1.0 do not.
    """
    export = record["export_type"] or record["kind"]
    subject = record.get("contract") or record["crm_instance"]
    windows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file in record["files"]:
        windows[file["start_at"], file["end_at"]].append(file["uri"])
    if record["file_count"] > len(record["files"]):
        windows = defaultdict(list, {(record["start_at"], record["end_at"]): [record["folder"]]})
    elif not windows:
        windows[record["start_at"], record["end_at"]] = []
    return [
        Landed(export, subject, _moment(start_at), _moment(end_at) + _MS, tuple(uris), landed_at)
        for (start_at, end_at), uris in windows.items()
        if end_at
    ]


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
