"""``coverage``: lists which landed file is valid for which time."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any, TextIO

from airflow_provider_snav._compat import ObjectStoragePath, use_airflows_database
from airflow_provider_snav.api.coverage import Answer, Coverage, Gap, Landed, coverage, landed_of
from airflow_provider_snav.api.windows import to_text
from airflow_provider_snav.cli.main import FAILED, SUCCEEDED, folder_uri, say
from airflow_provider_snav.cli.tables import print_json, print_table
from airflow_provider_snav.storage.paths import storage_path
from airflow_provider_snav.storage.staging import reporting_refusal, uri_of

_MANIFEST = ".manifest.json"
# The names under which file systems give the time of the last write.
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")


def run(options: argparse.Namespace, results: TextIO) -> int:
    """Print the answers and gaps of every export below a folder."""
    use_airflows_database()
    folder = storage_path(folder_uri(options.uri), "URI", written=False)
    with reporting_refusal(uri_of(folder), "read"):
        found = coverage(_landed(folder))
    if options.json:
        print_json(results, list(map(_as_json, found)))
    elif found:
        print_table(results, ("export", "of", "from", "up to", "answered by", ""), list(_lines(found)))
    else:
        say(f"There is no manifest below {uri_of(folder)}. A landing with manifest=True writes one.")
    return SUCCEEDED if found and not any(each.gaps for each in found) else FAILED


def _landed(folder: ObjectStoragePath) -> Iterator[Landed]:
    fs = folder.fs
    for path, info in sorted(fs.find(folder.path, detail=True).items()):
        if not path.endswith(_MANIFEST):
            continue
        try:
            yield from landed_of(json.loads(fs.cat_file(path)), _written_at(info))
        except (KeyError, TypeError, ValueError):
            say(f"{path} does not name its export, or is not the manifest of a landing. Land it again.")


def _written_at(info: dict[str, Any]) -> dt.datetime:
    moment = next(info[name] for name in _TIMES if info.get(name))
    if isinstance(moment, str):
        return dt.datetime.fromisoformat(moment)
    return moment if isinstance(moment, dt.datetime) else dt.datetime.fromtimestamp(moment, dt.UTC)


def _spans(found: Coverage) -> list[Answer | Gap]:
    return sorted([*found.answers, *found.gaps], key=lambda span: span.start_at)


def _lines(found: list[Coverage]) -> Iterator[tuple[str, ...]]:
    for each in found:
        for span in _spans(each):
            line = (each.export, each.subject, to_text(span.start_at), to_text(span.until))
            if isinstance(span, Gap):
                yield (*line, "", "GAP")
                continue
            earlier = len(span.overruled)
            yield (
                *line,
                ", ".join(span.landed.uris) or "no rows",
                f"instead of {earlier} earlier" if earlier else "",
            )


def _as_json(found: Coverage) -> dict[str, Any]:
    return {
        "export": found.export,
        "of": found.subject,
        "answers": [
            {
                "start_at": to_text(answer.start_at),
                "until": to_text(answer.until),
                "uris": list(answer.landed.uris),
                "overruled": [uri for landed in answer.overruled for uri in landed.uris],
            }
            for answer in found.answers
        ],
        "gaps": [{"start_at": to_text(gap.start_at), "until": to_text(gap.until)} for gap in found.gaps],
    }
