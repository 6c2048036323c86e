"""The one clock the drivers read; the core is told the time."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)
