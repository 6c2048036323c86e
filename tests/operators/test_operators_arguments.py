"""A wrong literal keeps the DAG file from being imported; what is not known yet waits for the task to run."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from task_runs import MAPPED, MIDNIGHT, context_of

from airflow_provider_snav._guide import guide
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorCrmValidationExportOperator,
    SalesNavigatorListContractsOperator,
    SalesNavigatorProfileAssociationsOperator,
)
from airflow_provider_snav.sensors.sales_navigator import SalesNavigatorExportSensor
from airflow_provider_snav.tasks.arguments import is_template
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

KEY = {"instance_id": "instance.crm.dynamics.com", "partner": "MS", "record_id": "7e0db184"}
FUTURE = MIDNIGHT + dt.timedelta(days=9)
EXPORT = {
    "kind": "analytics",
    "export_type": "seat",
    "contract": "urn:li:contract:1",
    "slices": [{"start_at": "2026-01-01T00:00:00Z", "end_at": "2026-01-02T00:00:00Z", "job_id": 7}],
}

GOOD: dict[type[BaseOperator], dict[str, Any]] = {
    SalesNavigatorAnalyticsExportOperator: {"contract": 123456},
    SalesNavigatorCrmValidationExportOperator: {
        "crm_instance": ("DYNAMICS", "362a3584"),
        "export_start_at": "2026-01-01",
    },
    SalesNavigatorListContractsOperator: {},
    SalesNavigatorProfileAssociationsOperator: {"keys": [KEY]},
    SalesNavigatorExportSensor: {"export": "{{ ti.xcom_pull('export') }}"},
    SalesNavigatorToObjectStorageOperator: {
        "export": "{{ ti.xcom_pull('export') }}",
        "destination": "s3://lake/snav/",
    },
}
ANALYTICS, CRM, CONTRACTS, ASSOCIATIONS, SENSOR, TRANSFER = GOOD

WRONG = [
    (ANALYTICS, "contract", "Northwind", "is not a contract"),
    (ANALYTICS, "export_type", "seats", "'seat'"),
    (ANALYTICS, "start_at", "2026-01-01", "end_at is missing"),
    (ANALYTICS, "end_at", MIDNIGHT, "start_at is missing"),
    (ANALYTICS, "start_at", "last tuesday", "is not a time"),
    (ANALYTICS, "window", "1d", "must be a timedelta"),
    (ANALYTICS, "window", dt.timedelta(minutes=30), "shorter than one hour"),
    (ANALYTICS, "lag", dt.timedelta(days=-1), "from 0 seconds"),
    (ANALYTICS, "lag", "{{ var.value.lag }}", "must be seconds or a timedelta"),
    (ANALYTICS, "timeout", 0, "from 1 seconds"),
    (ANALYTICS, "resubmit_delay", None, "must be seconds or a timedelta"),
    (ANALYTICS, "poll_interval", float("nan"), "must be seconds or a timedelta"),
    (ANALYTICS, "max_poll_interval", "300", "must be seconds or a timedelta"),
    (ANALYTICS, "max_resubmissions", -1, "must be a whole number"),
    (ANALYTICS, "wait_for_completion", "no", "must be True or False"),
    (ANALYTICS, "deferrable", "false", "must be True or False"),
    (ANALYTICS, "durable", 0, "must be True or False"),
    (ANALYTICS, "split_on_failure", None, "must be True or False"),
    (ANALYTICS, "snav_conn_id", None, "must be the id of a connection"),
    (CRM, "crm_instance", "362a3584", "is not a CRM instance"),
    (CRM, "crm_instance", ("DYNAMICS", ""), "is not a CRM instance"),
    (CRM, "export_start_at", None, "no time to export from"),
    (CRM, "export_start_at", 20260101, "is not a time"),
    (CRM, "watermark", "s3://crm", "must be an Asset"),
    (CONTRACTS, "reporting_access_only", "yes", "must be True or False"),
    (ASSOCIATIONS, "keys", [KEY, KEY | {"partner": ""}], r"keys\[1\]"),
    (ASSOCIATIONS, "keys", "keys.csv", "neither a URI nor an absolute path"),
    (ASSOCIATIONS, "keys", [KEY] * 1001, "too many to return"),
    (ASSOCIATIONS, "destination", "/lake/members/", "destination='/lake/members/' is a folder"),
    (ASSOCIATIONS, "destination", "s3://lake", "is a folder"),
    (SENSOR, "export", "s3://lake", "This is not an Export"),
    (SENSOR, "deferrable", None, "must be True or False"),
    (TRANSFER, "export", {"kind": "analytics"}, "This is not an Export"),
    (TRANSFER, "destination", "snav/", "neither a URI nor an absolute path"),
    (TRANSFER, "destination", "s4://lake/snav/", "no provider that is installed reads s4://"),
    (TRANSFER, "destination", "msgraph://site/drive/", r"install apache-airflow-providers-microsoft-azure"),
    (TRANSFER, "filename", "a/b.csv", "cannot be a file name"),
    (TRANSFER, "if_exists", "append", "'overwrite' or 'fail'"),
    (TRANSFER, "if_exists", "{{ var.value.if_exists }}", "'overwrite' or 'fail'"),
    (TRANSFER, "compression", "zip", "not 'zip'"),
    (TRANSFER, "verify", "yes", "must be True or False"),
    (TRANSFER, "manifest", None, "must be True or False"),
    (TRANSFER, "max_parallel", 0, "must be a whole number"),
    (TRANSFER, "watermark", "s3://crm", "must be an Asset"),
    (TRANSFER, "object_storage_conn_id", 7, "must be the id of a connection"),
]


@pytest.mark.parametrize(("operator", "name", "value", "says"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_literal_is_refused_when_the_dag_is_read_but_not_of_a_mapped_task(
    operator: type[BaseOperator], name: str, value: Any, says: str
) -> None:
    arguments = GOOD[operator] | {"task_id": "wrong", name: value}
    with DAG("d", schedule=None), pytest.raises(SalesNavigatorConfigurationError, match=says) as refused:
        operator(**arguments)
    assert f"Correct the task 'wrong' in the DAG file. (see {guide()}#" in str(refused.value)
    operator(**arguments, **MAPPED)


@pytest.mark.parametrize("operator", GOOD, ids=lambda operator: operator.__name__)
def test_a_mapped_task_refuses_a_wrong_argument_when_it_runs(operator: type[BaseOperator]) -> None:
    task = operator(task_id="task", **GOOD[operator] | {"snav_conn_id": ""}, **MAPPED)
    # A template has its value by then.
    task.export = EXPORT
    with pytest.raises(AirflowFailException, match="snav_conn_id='' must be the id of a connection"):
        task.execute(context_of(task))


@pytest.mark.parametrize("operator", GOOD, ids=lambda operator: operator.__name__)
def test_templates_and_the_output_of_another_task_are_left_to_the_run(operator: type[BaseOperator]) -> None:
    with DAG("d", schedule=None):
        before = SalesNavigatorListContractsOperator(task_id="before")
        for number, value in enumerate(["{{ var.value.any }}", "{% if x %}1{% endif %}", before.output]):
            templated = dict.fromkeys(operator.template_fields, value)
            operator(**GOOD[operator] | {"task_id": f"task{number}"} | templated)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (ANALYTICS, {"timeout": 3600, "resubmit_delay": 60.5, "poll_interval": dt.timedelta(seconds=9)}),
        (ANALYTICS, {"start_at": "{{ ds }}", "end_at": "2026-01-01"}),
        (ANALYTICS, {"start_at": FUTURE, "end_at": FUTURE + dt.timedelta(days=1)}),
        (CRM, {"crm_instance": ("DYNAMICS", "{{ var.value.organisation }}")}),
        (ASSOCIATIONS, {"keys": [KEY | {"record_id": "{{ params.record }}"}]}),
        (TRANSFER, {"destination": "file:///lake/{{ ds }}/", "filename": 20260101, "compression": "zstd"}),
        (TRANSFER, {"destination": Path("/lake"), "object_storage_conn_id": "{{ var.value.lake }}"}),
    ],
)
def test_what_may_be_right_when_the_task_runs_is_accepted(
    operator: type[BaseOperator], arguments: dict[str, Any]
) -> None:
    task = operator(**GOOD[operator] | {"task_id": "right"} | arguments)
    assert {name: getattr(task, name) for name in arguments} == arguments


def test_seconds_may_stand_in_the_default_args() -> None:
    with DAG("d", schedule=None, default_args={"timeout": 3600, "lag": 86_400}):
        task = SalesNavigatorAnalyticsExportOperator(task_id="export", contract=1)
    assert (task.timeout, task.lag) == (3600, 86_400)


def test_a_file_system_the_dag_file_has_attached_may_be_written_to() -> None:
    attach("mylake", fs=MemoryFileSystem())
    attach("abfs", "mylake", fs=MemoryFileSystem())
    for destination in ("mylake://snav/", "abfs://mylake@container/snav/"):
        arguments = GOOD[TRANSFER] | {"destination": destination}
        SalesNavigatorToObjectStorageOperator(task_id="land", **arguments)


@pytest.mark.parametrize("value", [None, 7, MIDNIGHT, "text", ["a"], {"a": "b"}, Path("/lake"), object()])
def test_a_value_without_jinja_is_no_template(value: Any) -> None:
    assert not is_template(value)


def run_python(script: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_reading_a_dag_loads_no_storage_or_http_library_and_finds_what_is_missing() -> None:
    script = """
import sys
import airflow.sdk
sys.modules["s3fs"] = sys.modules["zstandard"] = None
loaded = set(sys.modules)
from airflow_provider_snav.operators.sales_navigator import *
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import *
for arguments in ({"destination": "s3://lake/snav/"}, {"destination": "/lake", "compression": "zstd"}):
    try:
        SalesNavigatorToObjectStorageOperator(task_id="land", export="{{ x }}", **arguments)
    except ValueError as error:
        print(error)
SalesNavigatorAnalyticsExportOperator(task_id="export", contract=1)
SalesNavigatorToObjectStorageOperator(task_id="land", export="{{ x }}", destination="sftp://there/snav/")
print({name.partition(".")[0] for name in set(sys.modules) - loaded} & HEAVY)
"""
    heavy = {"adlfs", "aiohttp", "asyncssh", "boto3", "botocore", "requests", "s3fs", "sshfs", "zstandard"}
    said = run_python(script.replace("HEAVY", repr(heavy)))
    assert "destination='s3://lake/snav/' cannot be used: nothing that is installed reads s3://" in said
    assert "install airflow-provider-snav[s3]" in said
    assert 'compression="zstd" needs the zstandard library' in said
    assert said.endswith("set()\n")
