"""Real stores to land on: a local folder, a server that speaks S3, and a store that only copies."""

from __future__ import annotations

import pytest
from landing_stores import Store


@pytest.fixture(params=["local_store", "s3_store", "memory_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """Every kind of store, one after the other: ``rename(2)``, commit, copy and delete."""
    chosen: Store = request.getfixturevalue(request.param)
    return chosen
