"""Where exports land: a local folder and a server that speaks S3."""

from __future__ import annotations

import pytest
from landing_stores import Store


@pytest.fixture(params=["local_store", "s3_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each in turn."""
    chosen: Store = request.getfixturevalue(request.param)
    return chosen
