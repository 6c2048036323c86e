"""The pytest fixture ``snav_sandbox``: a new sandbox for one test.

pytest loads this module everywhere the package is installed. So it imports only pytest and the standard
library until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_snav.sandbox.server import Sandbox

# An analytics export takes a tenth of a second, a CRM export half a second.
_SPEED = 12_000


@pytest.fixture
def snav_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A new sandbox for this test. The connection ``snav_default`` leads to it."""
    try:
        from airflow_provider_snav.sandbox.server import Sandbox
    except ModuleNotFoundError as missing:
        raise pytest.UsageError(
            f"The fixture snav_sandbox needs {missing.name}: pip install 'airflow-provider-snav[sandbox]'"
        ) from None

    with Sandbox(speed=_SPEED) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", sandbox.connection_json())
        yield sandbox
