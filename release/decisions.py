"""What makes a release refusable, decided from texts alone."""

from __future__ import annotations

import re
from collections import Counter

Version = tuple[int, ...]


class RefusedError(Exception):
    """Why there is no release, and what to do about it."""


def parsed(version: str) -> Version:
    """:raises RefusedError: it is not three numbers."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise RefusedError(f"VERSION is {version!r}. Give three numbers: make release VERSION=0.2.0")
    return tuple(map(int, version.split(".")))


def check_changelog(text: str, version: str) -> None:
    """:raises RefusedError: its newest entry is not this version's, has no date or says nothing."""
    entry = re.search(r"^## (.+)\n((?:(?!^## ).*\n?)*)", text, re.MULTILINE)
    title = entry[1] if entry else "none"
    if not re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", title):
        raise RefusedError(
            f"The newest entry of CHANGELOG.md is {title!r}. Begin it with '## {version} - ' and the date."
        )
    if not re.search(r"^- ", entry[2] if entry else "", re.MULTILINE):
        raise RefusedError(f"CHANGELOG.md does not say what {version} changes.")


def check_api_step(previous: str, version: str, before: str, after: str) -> None:
    """Compare two snapshots of the public API.

    :param previous: the version that was released last.
    :param before: its snapshot.
    :param after: the snapshot of what is to be released.
    :raises RefusedError: the version must rise more than it does.
    """
    old, new = parsed(previous), parsed(version)
    if new <= old:
        raise RefusedError(f"{version} does not follow {previous}, which was released already.")
    gone = Counter(before.splitlines()) - Counter(after.splitlines())
    added = Counter(after.splitlines()) - Counter(before.splitlines())
    # How many of the three numbers must differ for the version to be new enough.
    needed = 1 if gone and old[0] else 2 if gone or added else 3
    if new[:needed] <= old[:needed]:
        changes = [f"  - {line.strip()}" for line in gone] + [f"  + {line.strip()}" for line in added]
        raise RefusedError(
            f"The public API changed since {previous}, so {version} is too small a step:\n"
            + "\n".join(changes[:20])
        )
