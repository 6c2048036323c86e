"""OpenLineage is not needed: where it is not installed, landings land and assets are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from airflow_provider_snav.sandbox.server import Sandbox

# Python takes None in place of a module to mean that there is none.
_LAND = """
import json, sys
sys.modules["openlineage"] = sys.modules["airflow.providers.openlineage.extractors"] = None
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from task_runs import completed_export, context_of
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

asset = Asset("activity")
task = SalesNavigatorToObjectStorageOperator(
    task_id="land", export=completed_export(), destination=sys.argv[1], outlets=[asset]
)
events = OutletEventAccessors()
task.execute(context_of(task, outlet_events=events))
print(json.dumps(events[asset].extra))
"""


def test_without_openlineage_a_landing_lands_and_tells_its_assets(
    snav_sandbox: Sandbox, tmp_path: Path
) -> None:
    snav_sandbox.script_statuses("COMPLETED")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LAND, tmp_path.as_uri()],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [file] = json.loads(done.stdout.splitlines()[-1])["files"]
    assert Path(file["uri"].removeprefix("file://")).stat().st_size == file["bytes"]
