"""What every test relies on: an Airflow of its own, and no way off the machine."""

from __future__ import annotations

import atexit
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

# Airflow reads its settings once, on the first import, so they are set before anything here can
# import it. The developer's own settings are dropped first: they may name a real database.
for _name in [name for name in os.environ if name.startswith("AIRFLOW_") or name.lower().endswith("_proxy")]:
    del os.environ[_name]

_HOME = Path(tempfile.mkdtemp(prefix="snav-airflow-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
(_HOME / "dags").mkdir()

# Not [core] unit_test_mode: it turns create_cron_data_intervals on, and the empty data intervals of
# a plain "@daily" would never be tested.
os.environ["AIRFLOW_HOME"] = str(_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# A machine's own netrc would put its credentials into our requests.
os.environ["NETRC"] = os.devnull

# Airflow looks up the name of the machine it runs on.
_OWN_NAMES = {"localhost", socket.gethostname()}


def _refuse_to_leave_the_machine(event: str, args: tuple[Any, ...]) -> None:
    """Raise when a socket is about to look up, or connect to, anything but this machine."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name and name not in _OWN_NAMES and not _is_local_address(name):
        raise RuntimeError(f"a test tried to reach {name}: tests talk to this machine only")


def _is_local_address(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_refuse_to_leave_the_machine)
