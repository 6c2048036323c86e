"""Which landed file answers for which part of an export's time. Pure.

Windows that are read again overlap, and a failed run leaves a gap. For each moment the file that landed last
is the one to believe.
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
    :param until: the moment after its last one. LinkedIn's ``end_at`` is one millisecond earlier.
    :param uris: of the files; none if the window has no rows. The folder, if the event lists not all files.
    :param landed_at: when; of two windows that overlap, the later one answers.
    """

    export: str
    subject: str
    start_at: dt.datetime
    until: dt.datetime
    uris: tuple[str, ...]
    landed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """A span of time, the files that answer for it, and those that landed earlier and do not."""

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
    """What landed of one export of one contract or CRM instance, in order of time.

    The answers do not overlap. With the gaps they make up the time from the first window to the last one.
    """

    export: str
    subject: str
    answers: tuple[Answer, ...]
    gaps: tuple[Gap, ...]

    @property
    def overlaps(self) -> tuple[Answer, ...]:
        """The answers for which an earlier file holds rows of the same time."""
        return tuple(answer for answer in self.answers if answer.overruled)


def coverage(landings: Iterable[Landed]) -> list[Coverage]:
    """Say which files answer for which time.

    :param landings: from :func:`landed_of`, in any order. Of two that landed at the same moment, the later in
        this order counts as the later one.
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
    """Read what an asset event's ``extra`` or a manifest says.

    :param landed_at: the timestamp of the event, or when the manifest was written.
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
