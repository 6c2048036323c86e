"""The profile associations operator: keys from anywhere, the result whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from association_keys_of_all_kinds import awkward_keys
from task_runs import MAPPED, context_of

from airflow_provider_snav._compat import AirflowProviderDeprecationWarning
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorDestinationError,
    SalesNavigatorPermissionError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorProfileAssociationsOperator
from airflow_provider_snav.sandbox.faults import CallKind, http_error
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.tasks.association_keys import MAX_RETURNED_KEYS

KEY = {"instance_id": "instance.crm.dynamics.com", "partner": "MS", "record_id": "7e0db184-267b"}
COLUMNS = list(KEY)


@pytest.fixture(autouse=True)
def _a_new_process_that_hardly_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(SalesNavigatorHook, "retry_policy", RetryPolicy(tries=2, first=0.001))
    forget_tokens()
    yield
    forget_tokens()


def enrich(keys: Any, output: str | None = None) -> Any:
    task = SalesNavigatorProfileAssociationsOperator(
        task_id="enrich", keys=keys, destination=output, **MAPPED
    )
    return task.execute(context_of(task))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def key_of(row: dict[str, Any]) -> dict[str, str]:
    return {name: row[name] for name in COLUMNS}


def key(record_id: str) -> dict[str, str]:
    return KEY | {"record_id": record_id}


def as_csv(path: Path, keys: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["recordId", "comment", "partner", "instance_id"])
        writer.writeheader()
        for each in keys:
            writer.writerow(
                {
                    "recordId": each["record_id"],
                    "comment": "a, b",
                    "partner": each["partner"],
                    "instance_id": each["instance_id"],
                }
            )


def as_json_lines(path: Path, keys: list[dict[str, str]]) -> None:
    text = "\n\n".join(json.dumps(each | {"comment": None}, ensure_ascii=False) for each in keys)
    path.write_bytes(text.encode())


FORMATS: dict[str, Callable[[Path, list[dict[str, str]]], None]] = {
    "keys.csv": as_csv,
    "keys.txt": as_csv,
    "keys.jsonl": as_json_lines,
    "keys.ndjson": as_json_lines,
}


def test_a_list_of_keys_is_answered_with_a_list(snav_sandbox: Sandbox) -> None:
    found, missing, failing = enrich([key("1"), key("no-match-2"), key("failing-3")])
    assert key_of(found) == key("1")
    assert found["member"].startswith("urn:li:person:")
    assert found["error"] is None
    assert missing == key("no-match-2") | dict.fromkeys(["member", "profile", "profile_photo", "error"])
    nothing = dict.fromkeys(["member", "profile", "profile_photo"])
    assert failing == key("failing-3") | nothing | {"error": "HTTP 500: Internal Server Error"}


@pytest.mark.parametrize("name", FORMATS)
def test_keys_are_read_from_an_object(snav_sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    keys = [asdict(each) for each in awkward_keys(150)]
    source = tmp_path / name
    FORMATS[name](source, keys)
    output = tmp_path / "out" / "members.jsonl"
    counts = enrich(source.as_uri(), output.as_uri())
    assert counts == {"uri": output.as_uri(), "keys": len(keys), "matched": len(keys), "failed": 0}
    assert [key_of(row) for row in lines(output)] == keys


def test_an_object_of_few_keys_may_be_returned(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    as_csv(tmp_path / "keys.csv", [key("1"), key("2")])
    assert [row["record_id"] for row in enrich((tmp_path / "keys.csv").as_uri())] == ["1", "2"]


def test_what_linkedin_failed_on_has_its_error_in_its_line(
    snav_sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [key("1"), key("failing-2"), key("absent-3"), key("4")]
    output = tmp_path / "members.jsonl"
    assert enrich(keys, output.as_uri()) == {"uri": output.as_uri(), "keys": 4, "matched": 2, "failed": 1}
    rows = lines(output)
    assert [key_of(row) for row in rows] == keys
    assert [row["error"] for row in rows] == [None, "HTTP 500: Internal Server Error", None, None]
    assert [bool(row["member"]) for row in rows] == [True, False, False, True]
    assert "LinkedIn failed on 1 keys" in "".join(capsys.readouterr())


def test_no_keys_make_an_empty_object(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    output = tmp_path / "members.jsonl"
    assert enrich([], output.as_uri()) == {"uri": output.as_uri(), "keys": 0, "matched": 0, "failed": 0}
    assert output.read_bytes() == b""
    assert enrich([]) == []
    assert snav_sandbox.requests == []


HEADER = b"instance_id,partner,record_id\n"
NO_KEY = "is not a profile association key"
UNREADABLE = [
    pytest.param("k.csv", b"instance_id,partner\na,b\n", "no column recordId or record_id", id="column"),
    pytest.param("k.csv", b"", "k.csv has no column", id="empty object"),
    pytest.param("k.csv", HEADER + b"a,b,\n", NO_KEY, id="empty part"),
    pytest.param("k.csv", HEADER + b"a,b\n", NO_KEY, id="short record"),
    pytest.param("k.csv", HEADER + "a,b,é\n".encode("latin-1"), "k.csv cannot be read.* UTF-8", id="latin-1"),
    pytest.param("k.csv", HEADER + b"a,b," + b"c" * 200_000, "k.csv cannot be read: field larger", id="huge"),
    pytest.param("k.csv.gz", b"\x1f\x8b\x08\x00", "UTF-8, not compressed", id="gzip"),
    pytest.param("k.jsonl", b'{"instance_id": "a",\n', "Line 1 of k.jsonl is not a JSON", id="bad line"),
    pytest.param(
        "k.jsonl", b"{}\n\n[1]\n".replace(b"{}", json.dumps(KEY).encode()), "Line 3", id="no object"
    ),
    pytest.param("k.jsonl", b'{"partner": "b", "record_id": "c"}', NO_KEY, id="missing part"),
    pytest.param("k.jsonl", json.dumps(KEY | {"record_id": 7}).encode(), "must all be text", id="number"),
]


@pytest.mark.parametrize(("name", "content", "says"), UNREADABLE)
def test_keys_that_cannot_be_read_are_named_and_nothing_is_written(
    snav_sandbox: Sandbox, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    output = tmp_path / "out" / "members.jsonl"
    with pytest.raises(AirflowFailException, match=says):
        enrich((tmp_path / name).as_uri(), output.as_uri())
    assert not output.parent.exists() or list(output.parent.iterdir()) == []


@pytest.mark.parametrize("source", ["list", "object"])
def test_too_many_keys_to_return_are_refused_before_anything_is_sent(
    snav_sandbox: Sandbox, tmp_path: Path, source: str
) -> None:
    keys: Any = [key(str(number)) for number in range(MAX_RETURNED_KEYS + 1)]
    if source == "object":
        as_csv(tmp_path / "keys.csv", keys)
        keys = (tmp_path / "keys.csv").as_uri()
    with pytest.raises(AirflowFailException, match=r"More than 1000 keys .* Give destination"):
        enrich(keys)
    assert snav_sandbox.requests == []


def test_as_many_keys_as_may_be_returned_are(snav_sandbox: Sandbox) -> None:
    keys = [key(str(number)) for number in range(MAX_RETURNED_KEYS)]
    assert [key_of(row) for row in enrich(keys)] == keys


def test_more_keys_than_may_be_returned_are_written(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    keys = [key(str(number)) for number in range(MAX_RETURNED_KEYS + 1)]
    assert enrich(keys, (tmp_path / "members.jsonl").as_uri())["matched"] == MAX_RETURNED_KEYS + 1


FAILURES = [
    pytest.param(403, AirflowFailException, id="refused"),
    pytest.param(503, SalesNavigatorServerError, id="failing"),
]


@pytest.mark.parametrize(("status", "error"), FAILURES)
def test_a_failure_in_the_middle_leaves_the_old_object_and_nothing_else(
    snav_sandbox: Sandbox, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    output = tmp_path / "members.jsonl"
    enrich([key("old")], output.as_uri())
    before = output.read_bytes()

    def keys() -> Iterator[dict[str, str]]:
        for number in range(2000):
            if number == 1000:
                answered = [each for each in snav_sandbox.requests if each.kind is CallKind.ASSOCIATIONS]
                assert len(answered) > 3, "some results are written already"
                snav_sandbox.fault("associations", http_error(status), times=None)
            yield key(str(number))

    with pytest.raises(error, match=r"Could not get .* profile associations") as raised:
        enrich(keys(), output.as_uri())
    assert ("A retry sends the requests again." in str(raised.value)) == (status == 503)
    assert output.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["members.jsonl"]


def test_a_bad_key_in_the_middle_of_an_object_leaves_nothing(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    as_csv(tmp_path / "keys.csv", [key(str(number)) for number in range(300)] + [key("")])
    with pytest.raises(AirflowFailException, match=r"Line 302 of keys\.csv.*Nothing was written"):
        enrich((tmp_path / "keys.csv").as_uri(), (tmp_path / "members.jsonl").as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["keys.csv"]


# --- what is refused before anything is sent --------------------------------------------------------------


def refusal(sandbox: Sandbox, keys: Any, output: Any = None) -> str:
    """The message of a task Airflow will not retry, when nothing at all was sent."""
    with pytest.raises(AirflowFailException) as failure:
        enrich(keys, output)
    assert sandbox.requests == []
    assert str(failure.value).count("Nothing was sent to LinkedIn.") == 1
    return str(failure.value)


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (KEY | {"record_id": ""}, "must all be text that is not empty"),
        ("7e0db184", "must be a mapping with instance_id, partner and record_id, not str"),
        (None, "not NoneType"),
        ([KEY], "not list"),
    ],
    ids=["empty", "text", "none", "list"],
)
def test_a_list_is_checked_to_its_last_key_before_the_first_is_asked_for(
    snav_sandbox: Sandbox, tmp_path: Path, bad: Any, says: str, written: bool
) -> None:
    keys = [key(str(number)) for number in range(300)] + [bad]
    message = refusal(snav_sandbox, keys, (tmp_path / "members.jsonl").as_uri() if written else None)
    assert message.startswith("keys[300]: ")
    assert says in message
    assert list(tmp_path.iterdir()) == []


def test_a_key_too_long_for_a_query_is_found_before_the_first_is_asked_for(snav_sandbox: Sandbox) -> None:
    keys = [key(str(number)) for number in range(300)] + [key("x" * 5000)]
    assert "LinkedIn takes 4096 bytes of query at most" in refusal(snav_sandbox, keys)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (None, "keys must be a list of mappings, or the URI of a CSV or JSONL object, not NoneType"),
        (KEY, "not dict"),
        (7, "not int"),
        ("", "keys='' is neither a URI nor an absolute path"),
        ("None", "keys='None' is neither a URI nor an absolute path"),
        ("keys.csv", "keys='keys.csv' is neither a URI nor an absolute path"),
        ("nope://lake/keys.csv", "keys='nope://lake/keys.csv' cannot be used"),
    ],
    ids=repr,
)
def test_keys_that_are_neither_a_list_nor_an_object_are_refused(
    snav_sandbox: Sandbox, keys: Any, says: str
) -> None:
    assert says in refusal(snav_sandbox, keys)


@pytest.mark.parametrize("text", ["[{}]", "({},)", "{}", "\n  [{}]"])
def test_a_list_rendered_to_text_says_what_to_do_and_shows_none_of_it(
    snav_sandbox: Sandbox, text: str
) -> None:
    message = refusal(snav_sandbox, text.format(KEY | {"email": "jo@example.com"}))
    assert "render_template_as_native_obj=True" in message
    assert "jo@example.com" not in message


def test_an_object_that_does_not_exist_is_named_and_not_retried(
    snav_sandbox: Sandbox, tmp_path: Path
) -> None:
    missing = (tmp_path / "keys.csv").as_uri()
    assert f"There is no file {missing} to read keys from" in refusal(snav_sandbox, missing)
    assert "There is no file" in refusal(snav_sandbox, tmp_path.as_uri())


def test_a_missing_object_with_an_output_leaves_nothing(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"There is no file .*Nothing was written or returned"):
        enrich((tmp_path / "keys.csv").as_uri(), (tmp_path / "members.jsonl").as_uri())
    assert snav_sandbox.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_does_not_let_keys_be_read_is_named_and_asked_again(
    snav_sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SalesNavigatorDestinationError, match=r"file/keys\.csv could not be read: Not a dir"):
        enrich((tmp_path / "file" / "keys.csv").as_uri())
    assert snav_sandbox.requests == []


@pytest.mark.parametrize(
    "output",
    ["", "None", "members.jsonl", "file://members.jsonl", "file:members.jsonl", "s3://", 7],
    ids=repr,
)
def test_an_output_in_the_folder_the_worker_runs_in_is_refused(
    snav_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(snav_sandbox, [KEY], output)
    assert f"destination={output!r} is neither a URI nor an absolute path" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", ["file:///tmp/members/", "/"])
def test_an_output_that_is_a_folder_is_refused(snav_sandbox: Sandbox, output: str) -> None:
    assert "is a folder. Give the URI of an object" in refusal(snav_sandbox, [KEY], output)


@pytest.mark.parametrize("name", ["keys.csv", "keys.jsonl"])
def test_a_bad_row_is_named_by_its_line_and_shows_nothing_but_the_key(
    snav_sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    row = {"instance_id": "org.example", "partner": "", "record_id": "1", "email": "jo@example.com"}
    csv_text = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    (tmp_path / name).write_text(csv_text if name == "keys.csv" else "\n" + json.dumps(row))
    message = refusal(snav_sandbox, (tmp_path / name).as_uri())
    shown = {part: row[part] for part in COLUMNS}
    assert message.startswith(f"Line 2 of {name}: {shown} is not a profile association key")
    assert "jo@example.com" not in message


def test_a_first_line_that_is_no_header_is_not_shown(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "keys.csv").write_text("org.example,MS,1,jo@example.com\n")
    message = refusal(snav_sandbox, (tmp_path / "keys.csv").as_uri())
    assert "no column instanceId or instance_id. Its first line has 4 columns." in message
    assert "jo@example.com" not in message


# --- in a DAG ---------------------------------------------------------------------------------------------


class _Upstream(BaseOperator):
    def execute(self, context: Any) -> str:
        raise NotImplementedError


def test_a_task_that_makes_the_destination_comes_first_mapped_or_not() -> None:
    with DAG("d", schedule=None):
        place = _Upstream(task_id="place")
        plain = SalesNavigatorProfileAssociationsOperator(
            task_id="plain", keys=[KEY], destination=place.output
        )
        partial = SalesNavigatorProfileAssociationsOperator.partial(
            task_id="mapped", destination=place.output
        )
        mapped = partial.expand(keys=[[KEY]])
    assert plain.upstream_task_ids == mapped.upstream_task_ids == {"place"}
    assert plain.output.operator is plain, "Airflow's own reference stays what it is"


OLDER_NAMES = ["output", "output_uri"]
OBJECT = "/lake/members.jsonl"


@pytest.mark.parametrize(
    ("partial", "expand"),
    [({"destination": OBJECT}, {"keys": [KEY]}), ({"keys": [KEY]}, {"destination": OBJECT})],
    ids=["partial", "expand"],
)
def test_a_mapped_task_takes_its_destination_by_the_same_name(
    partial: dict[str, Any], expand: dict[str, Any]
) -> None:
    with DAG("d", schedule=None):
        mapped = SalesNavigatorProfileAssociationsOperator.partial(task_id="mapped", **partial).expand(
            **{name: [value] for name, value in expand.items()}
        )
        task = mapped.unmap(expand)
    assert (task.destination, task.keys) == (OBJECT, [KEY])


@pytest.mark.parametrize("name", OLDER_NAMES)
def test_the_older_name_of_destination_works_and_warns_where_the_dag_file_gives_it(name: str) -> None:
    told = f"The argument {name} is deprecated. Its new name is destination."
    operator, given = SalesNavigatorProfileAssociationsOperator, {name: OBJECT}
    with DAG("d", schedule=None):
        with pytest.warns(AirflowProviderDeprecationWarning, match=told) as plain:
            task = operator(task_id="plain", keys=[KEY], **given)
        with pytest.warns(AirflowProviderDeprecationWarning, match=told) as partial:
            mapped = operator.partial(task_id="partial", **given).expand(keys=[[KEY]])
        expanded = operator.partial(task_id="expand", keys=[KEY]).expand(**{name: [OBJECT]})
        with pytest.warns(AirflowProviderDeprecationWarning, match=told):
            expanded = expanded.unmap(given)
    assert {warning.filename for warning in [*plain, *partial]} == {__file__}
    assert {each.destination for each in (task, mapped.unmap({"keys": [KEY]}), expanded)} == {OBJECT}


@pytest.mark.parametrize("name", OLDER_NAMES)
def test_one_argument_by_two_names_is_refused(name: str) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="Give destination alone"):
        SalesNavigatorProfileAssociationsOperator(
            task_id="enrich", keys=[KEY], destination=OBJECT, **{name: OBJECT}
        )


def test_a_store_that_refuses_is_named(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SalesNavigatorDestinationError, match=r"file/members\.jsonl could not be opened"):
        enrich([KEY], (tmp_path / "file" / "members.jsonl").as_uri())


def test_a_scope_that_is_missing_is_named_and_not_retried(
    snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", snav_sandbox.connection_json(client_credentials=False))
    with pytest.raises(AirflowFailException, match="r_sales_nav_profiles") as raised:
        enrich([KEY])
    assert isinstance(raised.value.__cause__, SalesNavigatorPermissionError)
    assert len(snav_sandbox.requests) == 1
