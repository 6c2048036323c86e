"""At a release: record what this version stores, for the tests of all later versions.

Run as ``python tests/public_api/record_stored_values.py``. A recorded file is never written again.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from public_api_stored import stored_values

from airflow_provider_snav import __version__

if __name__ == "__main__":
    file = Path(__file__).with_name("recorded") / f"{__version__}.json"
    values = stored_values(dt.datetime.now(dt.UTC).replace(microsecond=0))
    with file.open("x", encoding="utf-8") as recorded:
        recorded.write(json.dumps(values, indent=2) + "\n")
