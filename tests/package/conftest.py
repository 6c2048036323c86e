"""Everything here looks at the same archives."""

from __future__ import annotations

import pytest
from package_builds import Built, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("dist"))
