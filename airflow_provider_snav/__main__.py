"""``python -m airflow_provider_snav``: see :mod:`airflow_provider_snav.cli.commands`."""

from __future__ import annotations

import sys

from airflow_provider_snav.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
