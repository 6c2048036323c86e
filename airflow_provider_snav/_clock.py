"""The only clock. ``api`` and ``exports`` get the time as an argument."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """Return the present time in UTC."""
    return dt.datetime.now(dt.UTC)
