"""An Airflow for whole DAGs."""

from __future__ import annotations

from pathlib import Path

import pytest
from dag_runs import AirflowHome

from airflow_provider_snav.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    home = AirflowHome(Path(tmp_path_factory.mktemp("airflow")))
    with Sandbox() as sandbox:
        home.migrate(sandbox)
    return home
