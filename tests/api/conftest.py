"""The pure core needs nothing around it; only hypothesis is told not to look at the clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
