"""Pods: a task in a place of its own, as nobody, that can write to 16 MB and nothing else."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from harness import POD_BYTES, Deployment
from landing_stores import BUCKET
from linkedin import LinkedIn, s3_lake
from local_airflow import wait_for

# The first test waits for the deployment to start.
pytestmark = pytest.mark.timeout(300)

MIB = 1024**2
INSIDE_POD = """
id -un
echo ${HOME-no home}
df --output=size -B 1M /tmp | tail -1
touch /x /usr/x /proc/sys/x "$1/x" || echo read-only
"""


@pytest.fixture(scope="module", autouse=True)
def _pods(tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        in_pod(tmp_path_factory.mktemp("pod"), "true").check_returncode()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NO POD WAS TRIED: that needs root and mount namespaces. {error}")


def in_pod(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    pod = ["unshare", "--mount", "sh", Path(__file__).with_name("pod.sh"), folder, "", sys.prefix, "--"]
    command = [*pod, "env", "-i", "PATH=/usr/bin:/bin", "sh", "-c", script, "sh", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_pod_is_as_poor_as_it_should_be(tmp_path: Path) -> None:
    said = in_pod(tmp_path, INSIDE_POD, sys.prefix).stdout.split("\n")
    assert [line.strip() for line in said] == ["nobody", "no home", "16", "read-only", ""]


@pytest.mark.parametrize(
    "size", [64 * MIB, pytest.param(2048 * MIB, marks=(pytest.mark.scale, pytest.mark.timeout(1200)))]
)
def test_an_export_and_its_landing_on_s3_fit_into_pods(
    airflow: Deployment, s3: str, linkedin: LinkedIn, size: int
) -> None:
    linkedin.let_jobs_end()
    linkedin.sandbox.settings.bulk_bytes = size
    lake = s3_lake(s3, airflow, linkedin.folder.name)
    run = linkedin.export("export_in_pods", lake=str(lake.folder))
    assert (
        run.wait_for_state("land", "success", timeout=280 if size < 1024 * MIB else 1000)["try_number"] == 1
    )
    [job] = linkedin.jobs
    [exported] = linkedin.sandbox.files(job)
    [landed] = run.xcom("land")
    digest = sha256()
    for chunk in exported.chunks():
        digest.update(chunk)
    assert (landed["bytes"], landed["sha256"]) == (exported.size, digest.hexdigest())
    key = landed["uri"].removeprefix(f"s3://{BUCKET}/")
    assert lake.client.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == exported.size
    pods = wait_for("the pods to end", run.ended_pods)
    print(f"\nPods that exported and landed {size // MIB} MiB: {pods}")
    # A cgroup, where there are any, has killed a pod that took more: its exit code would say so.
    assert {pod["exit_code"] for pod in pods} == {0}
    # The peak of the cgroup; without one, the largest of the executor's samples.
    peaks = [pod.get("peak") or pod["measured"] for pod in pods]
    assert 0 < min(peaks) <= max(peaks) <= POD_BYTES
