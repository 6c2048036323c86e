"""Whoever reads the log during a long download learns how far it has come, and is not flooded."""

from __future__ import annotations

from airflow_provider_snav.landing.progress import Progress

MIB = 1024 * 1024


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str, *arguments: object) -> None:
        self.lines.append(line % arguments)


def test_a_line_every_ten_seconds_says_files_bytes_and_rate() -> None:
    log, now = Log(), 100.0
    progress = Progress(60, log, lambda: now)
    for second in range(1, 31):
        now = 100.0 + second
        progress.reached("seats.csv", second * 2 * MIB)
        if second == 15:
            progress.done("seats.csv")
    assert log.lines == [
        "Downloaded 0 of 60 files so far, 20.0 MiB, 2.0 MiB/s",
        "Downloaded 1 of 60 files so far, 40.0 MiB, 2.0 MiB/s",
        "Downloaded 1 of 60 files so far, 60.0 MiB, 2.0 MiB/s",
    ]


def test_a_short_download_says_nothing() -> None:
    log = Log()
    progress = Progress(1, log, lambda: 0.0)
    progress.reached("seats.csv", MIB)
    progress.done("seats.csv")
    assert log.lines == []


def test_a_download_that_starts_over_is_not_counted_twice() -> None:
    log, now = Log(), 100.0
    progress = Progress(2, log, lambda: now)
    for name, size in [("a.csv", 8 * MIB), ("b.csv", 5 * MIB), ("a.csv", MIB)]:
        progress.reached(name, size)
    now = 110.0
    progress.reached("a.csv", 15 * MIB)
    assert log.lines == ["Downloaded 0 of 2 files so far, 20.0 MiB, 2.0 MiB/s"]
