"""``python -m airflow_provider_snav``: see :mod:`airflow_provider_snav.cli.commands`."""

from __future__ import annotations

import sys
import warnings

from airflow_provider_snav.cli.main import main

if __name__ == "__main__":
    if not sys.warnoptions:
        # Importing Airflow prints warnings, which would hide the command's output.
        warnings.simplefilter("ignore")
    sys.exit(main())
