"""The same export on every store: its very bytes, or what lay there before."""

from __future__ import annotations

import hashlib
import io
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import csv
from store_landings import JumpingClock, die_on_disk, kill, land, started
from store_servers import Lake, Moment
from task_runs import context_of, parts_of

from airflow_provider_snav.api.errors import (
    SalesNavigatorDestinationError,
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
    SalesNavigatorRowCountError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.api.schemas import SCHEMAS
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorProfileAssociationsOperator
from airflow_provider_snav.sandbox.faults import Cut, WrongRowCount, http_error
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.storage.paths import storage_path
from airflow_provider_snav.storage.staging import open_stage

MIB = 1024 * 1024
NAMES = ["mine.part-0001.csv", "mine.part-0002.csv"]


@pytest.fixture
def export(snav_sandbox: Sandbox) -> Any:
    """Two files, each larger than the block an upload is made of."""
    snav_sandbox.settings.bulk_bytes = 9 * MIB
    return parts_of(2)


@pytest.fixture
def lands(lake: Lake, export: Any) -> Callable[..., Any]:
    return partial(land, export=export, destination=lake.destination, filename="mine")


def exported(sandbox: Sandbox) -> dict[str, bytes]:
    files = [file.read() for job in sandbox.jobs for file in sandbox.files(job)]
    return dict(zip(NAMES, files, strict=True))


def named(suffix: str) -> list[str]:
    return [name.replace("csv", suffix) for name in NAMES]


def arguments_for(suffix: str) -> dict[str, Any]:
    return {"format": suffix, "typed": suffix == "csv", "max_parallel": 1}


def read(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Files by name, those of Parquet as what they hold."""
    return {
        name: pq.read_table(io.BytesIO(content)) if content.startswith(b"PAR1") else content
        for name, content in files.items()
    }


def exported_as(suffix: str, sandbox: Sandbox) -> dict[str, Any]:
    """What lands if all goes well, as :func:`read` reads it."""
    files = exported(sandbox)
    if suffix == "csv":
        return files
    text = dict.fromkeys((column.name for column in SCHEMAS["activity"].columns), pa.string())
    convert = csv.ConvertOptions(column_types=text, null_values=[""], strings_can_be_null=True)
    parse = csv.ParseOptions(newlines_in_values=True)
    tables = (
        csv.read_csv(io.BytesIO(file), parse_options=parse, convert_options=convert)
        for file in files.values()
    )
    return dict(zip(named(suffix), tables, strict=True))


def downloads(sandbox: Sandbox) -> list[int | None]:
    return [request.status for request in sandbox.requests if request.kind == "download"]


# --- whole ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_export_lies_on_every_store_as_it_was_exported(
    snav_sandbox: Sandbox, lake: Lake, lands: Callable[..., Any], suffix: str
) -> None:
    landed = lands(**arguments_for(suffix))
    files = lake.files()
    assert read(files) == exported_as(suffix, snav_sandbox)
    digests = [hashlib.sha256(files[name]).hexdigest() for name in named(suffix)]
    assert [each["sha256"] for each in landed] == digests


def test_an_empty_file_lies_on_every_store(lake: Lake) -> None:
    stage = open_stage(storage_path(lake.destination, "destination") / "empty.csv", attempt="try-1")
    stage.seal()
    assert lake.visible() == {}
    stage.publish()
    assert lake.files() == {"empty.csv": b""}


def test_a_compressed_export_has_the_same_bytes_each_time_and_everywhere(
    lake: Lake, lands: Callable[..., Any]
) -> None:
    first = lands(compression="gzip", manifest=True)
    files = lake.files()
    assert lands(compression="gzip", manifest=True) == first
    assert lake.files() == files
    assert sorted(files) == ["mine.manifest.json", *(f"{name}.gz" for name in NAMES)]


def test_a_small_export_replaces_a_large_one(
    snav_sandbox: Sandbox, lake: Lake, lands: Callable[..., Any]
) -> None:
    lands()
    snav_sandbox.settings.bulk_bytes = 0
    lands()
    assert lake.files() == exported(snav_sandbox)


def test_if_exists_fail_sees_what_lies_there(
    snav_sandbox: Sandbox, lake: Lake, lands: Callable[..., Any]
) -> None:
    lake.put(NAMES[1], b"old")
    with pytest.raises(AirflowFailException, match=r"already holds mine\.part-0002\.csv"):
        lands(if_exists="fail")
    assert downloads(snav_sandbox) == []


@pytest.mark.parametrize("server", ["s3", "gs", "abfs"], indirect=True)
def test_a_file_that_no_landing_wrote_stays_where_the_store_keeps_our_mark(
    snav_sandbox: Sandbox, lake: Lake, lands: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    lake.put("mine.csv.gz", b"made by hand")
    lake.put("mine.csv.zst", b"of an earlier run", by="earlier")
    lands()
    assert lake.files() == exported(snav_sandbox) | {"mine.csv.gz": b"made by hand"}
    assert f"{lake.folder}/mine.csv.gz stays: its metadata does not say" in "".join(capsys.readouterr())


def test_a_url_that_expires_in_the_middle_of_its_stream_is_renewed(
    snav_sandbox: Sandbox, lake: Lake, lands: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    snav_sandbox.fault("download", Cut(after_bytes=8 * MIB + 1))
    lands(max_parallel=1)
    assert lake.files() == exported(snav_sandbox)
    assert downloads(snav_sandbox) == [200, 200, 200]
    assert "Download 1 of mine.part-0001.csv failed, asking for a new URL" in "".join(capsys.readouterr())


# --- or nothing -------------------------------------------------------------------------------------------

Arrange = Callable[[Sandbox, Lake, JumpingClock], None]


def cut(sandbox: Sandbox, *_: Any) -> None:
    sandbox.fault("download", Cut(after_bytes=8 * MIB + 1), times=None)


def short(sandbox: Sandbox, *_: Any) -> None:
    file = sandbox.files(sandbox.created_jobs[0].job_id)[0]
    sandbox.fault("download", Cut(after_bytes=file.size - len(file.block), cleanly=True), times=None)


def wrong_row_count(sandbox: Sandbox, *_: Any) -> None:
    sandbox.fault("status", WrongRowCount(), times=None)


def expired_in_the_middle(sandbox: Sandbox, _: Lake, clock: JumpingClock) -> None:
    sandbox.fault("download", Cut(after_bytes=8 * MIB + 1))
    clock.jumps_once = lambda: 200 in downloads(sandbox)


def unavailable(sandbox: Sandbox, *_: Any) -> None:
    sandbox.fault("download", http_error(503), times=None)


def store_refuses_at_the_end(_: Sandbox, lake: Lake, __: JumpingClock) -> None:
    lake.gate.refuse(Moment.PUBLISH)


def store_is_full(_: Sandbox, lake: Lake, __: JumpingClock) -> None:
    lake.gate.refuse(Moment.WRITE)


FAULTS: dict[str, tuple[Arrange, type[Exception], str]] = {
    "cut": (cut, SalesNavigatorIncompleteDownloadError, "broke off after 8388609 of"),
    "short": (short, SalesNavigatorRowCountError, "rowCount says"),
    "wrong rowCount": (wrong_row_count, SalesNavigatorRowCountError, "rowCount says"),
    "expired in the middle": (expired_in_the_middle, SalesNavigatorLandingError, "not there in 3 tries"),
    "503": (unavailable, SalesNavigatorServerError, "HTTP 503"),
    "store refuses at the end": (
        store_refuses_at_the_end,
        SalesNavigatorDestinationError,
        r"mine\.part-0001\.SUFFIX could not be published",
    ),
    "store full": (store_is_full, SalesNavigatorDestinationError, "could not be written"),
}


def skip_small_files_of_google(lake: Lake) -> None:
    """Parquet files of the sandbox's rows are small, and gcsfs sends a small file when it is published."""
    if lake.destination.startswith("gs://"):
        pytest.skip("gcsfs writes no bytes of a small file before it is published")


@contextmanager
def full_disk(lake: Lake) -> Iterator[None]:
    """Where there is no server to say so: files end at 64 KiB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if lake.is_disk and lake.gate.moment is Moment.WRITE:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# Parquet where the bytes of the file have a part in it.
@pytest.mark.parametrize(
    ("fault", "suffix"),
    [
        *product(FAULTS, ["csv"]),
        *product(["cut", "short", "store refuses at the end", "store full"], ["parquet"]),
    ],
)
def test_nothing_is_published_and_the_old_files_stay_after(
    snav_sandbox: Sandbox,
    clock: JumpingClock,
    lake: Lake,
    lands: Callable[..., Any],
    fault: str,
    suffix: str,
) -> None:
    old = dict.fromkeys(named(suffix), b"old") | {"others.csv": b"not ours"}
    for name, content in old.items():
        lake.put(name, content)
    arrange, error, says = FAULTS[fault]
    if (fault, suffix) == ("short", "parquet"):
        # Its last record ends in the middle, which is found before rows are compared.
        error, says = SalesNavigatorIncompleteDownloadError, "ends in the middle of a record"
    if (fault, suffix) == ("store full", "parquet"):
        skip_small_files_of_google(lake)
    arrange(snav_sandbox, lake, clock)
    says = says.replace("SUFFIX", suffix)
    with pytest.raises(error, match=says) as failure, full_disk(lake):
        lands(**arguments_for(suffix))
    assert "Nothing was published; files of earlier runs are untouched." in str(failure.value)
    assert lake.files() == old


@pytest.mark.parametrize("server", ["s3", "gs", "abfs"], indirect=True)
def test_a_publication_whose_answer_is_lost_is_not_said_to_have_left_everything_untouched(
    snav_sandbox: Sandbox, lake: Lake, lands: Callable[..., Any]
) -> None:
    for name in NAMES:
        lake.put(name, b"old")
    lake.gate.refuse(Moment.PUBLISH, obeys=True)
    with pytest.raises(SalesNavigatorDestinationError, match=rf"begun: {NAMES[0]} may be new, replaced"):
        lands()
    assert lake.files() == {NAMES[0]: exported(snav_sandbox)[NAMES[0]], NAMES[1]: b"old"}


@pytest.mark.parametrize("server", ["s3"], indirect=True)
@pytest.mark.parametrize(
    ("obeys", "says"),
    [
        (True, "The file may be written"),
        (False, "Nothing was written or returned"),
    ],
    ids=["its answer lost", "refused"],
)
def test_associations_say_whether_their_object_may_be_written(
    snav_sandbox: Sandbox, lake: Lake, obeys: bool, says: str
) -> None:
    keys = [{"instance_id": "org.example", "partner": "MS", "record_id": "1"}]
    output = f"{lake.destination}/members.jsonl"
    task = SalesNavigatorProfileAssociationsOperator(task_id="enrich", keys=keys, destination=output)
    lake.gate.refuse(Moment.PUBLISH, obeys=obeys)
    with pytest.raises(SalesNavigatorDestinationError, match=f"{says}, and nothing was changed at"):
        task.execute(context_of(task))
    assert len(lake.files()) == obeys


@pytest.mark.parametrize("server", ["s3", "abfs"], indirect=True)
def test_a_stage_that_lost_a_block_is_not_sealed_even_by_a_store_that_is_well_again(lake: Lake) -> None:
    stage = open_stage(storage_path(lake.destination, "destination") / "seats.csv", attempt="try-1")
    lake.gate.refuse(Moment.WRITE)
    with pytest.raises(SalesNavigatorDestinationError, match="could not be written"):
        stage.write(bytes(21 * MIB))
    lake.gate.open()
    for say_on in (lambda: stage.write(bytes(21 * MIB)), stage.seal):
        with pytest.raises(SalesNavigatorDestinationError, match="could not be written"):
            say_on()
    stage.discard()
    assert lake.files() == {}


# --- killed -----------------------------------------------------------------------------------------------

MOMENTS = {
    "while the first file is written": (Moment.WRITE, 0),
    "while the second file is written": (Moment.WRITE, 1),
    "when all is sealed and nothing published": (Moment.PUBLISH, 0),
    "between two publications": (Moment.PUBLISH, 1),
}


@pytest.mark.parametrize(
    ("when", "suffix"),
    [
        *product(MOMENTS, ["csv"]),
        *product(["while the second file is written", "between two publications"], ["parquet"]),
    ],
)
def test_a_landing_killed_publishes_no_half_and_its_retry_leaves_exactly_one_export(
    snav_sandbox: Sandbox, lake: Lake, export: Any, lands: Callable[..., Any], when: str, suffix: str
) -> None:
    moment, number = MOMENTS[when]
    if (moment, suffix) == (Moment.WRITE, "parquet"):
        skip_small_files_of_google(lake)
    names = named(suffix)
    name = names[number]
    for each in names:
        lake.put(each, b"old")
    arguments = {
        "export": export,
        "destination": lake.destination,
        "filename": "mine",
        **arguments_for(suffix),
    }
    if lake.is_disk:
        process = started(partial(die_on_disk, name, moment), **arguments)
        process.join(timeout=60)
    else:
        lake.gate.hold(moment, name)
        process = started(lake.server.attach, **arguments)
        assert lake.gate.reached.wait(timeout=60)
    kill(process)
    lake.gate.open()
    published = 1 if when == "between two publications" else 0
    new = exported_as(suffix, snav_sandbox)
    expected = {each: new[each] if each in names[:published] else b"old" for each in names}
    assert read(lake.visible()) == expected
    lands(**arguments_for(suffix))
    assert read(lake.visible()) == new
