"""Make all staged files visible, and remove the files of earlier runs of the export.

Two tries may publish at the same time. The first file name decides which try continues. A try replaces the
file under that name only if the file has not changed since the try listed the folder. The other try stops.

Files of earlier runs are those in that list. The try that continues also replaces files that the other try
wrote under the same names. No other file is replaced or removed. A try that fails removes only files that it
provably wrote, and its error names the others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_snav.api.errors import SalesNavigatorDestinationError, SalesNavigatorError
from airflow_provider_snav.landing.formats import PARQUET_MARK, SUFFIXES
from airflow_provider_snav.landing.names import belongs_to, manifest_name
from airflow_provider_snav.landing.plan import LandedFile, LandingOptions
from airflow_provider_snav.storage.folders import Stored, folder_of
from airflow_provider_snav.storage.staging import (
    OvertakenError,
    Stage,
    leftover_of,
    open_stage,
    reporting_refusal,
    uri_of,
)

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath
    from airflow_provider_snav.exports.export import Export

_LEFTOVER_SECONDS = 24 * 3600
"""The age, in seconds, after which a staged file cannot belong to a running try."""

_FOOTER_BYTES = 64 * 1024
"""The number of bytes at the end of a Parquet file in which ``PARQUET_MARK`` is searched."""

_TRIES, _PAUSE = 10, 0.1
"""The number of tries for a name that another try is about to free, and the pause between them in seconds."""


class UnconfirmedError(SalesNavigatorError):
    """It is unknown whether the confirmation of a publication succeeded, so the files must stay."""


class Publication:
    """The publication of one export's files in one folder.

    :param folder: the destination.
    :param export: the Export. The manifest describes it.
    :param options: how to land.
    :param check: a function that raises if this try may not change the folder. It runs before each change.
    :param log: the logger of the task.
    """

    def __init__(
        self,
        folder: ObjectStoragePath,
        export: Export,
        options: LandingOptions,
        check: Callable[[], None],
        log: Any,
    ) -> None:
        self._export = export
        self._folder = folder
        self._store = folder_of(folder)
        self._options = options
        self._check = check
        self._log = log
        self._seen: dict[str, Stored] = {}
        self._removed: list[str] = []
        self._revealed: dict[str, Stage] = {}
        # True if the store keeps the attempt in a file's metadata. The first published file shows this.
        self._marks = False

    @property
    def touched(self) -> list[str]:
        """The names of the files that this try may have written, replaced or removed."""
        return list(dict.fromkeys([*self._removed, *self._revealed]))

    def refuse_existing(self) -> None:
        """Check the folder if ``if_exists="fail"``.

        :raises SalesNavigatorDestinationError: the folder already has files of this export.
        """
        if self._options.if_exists == "fail":
            self._seen = self._listed()
            if names := sorted(name for name in self._seen if not leftover_of(name)):
                raise self._already_there(names)

    def publish(
        self, stages: Mapping[str, Stage], files: Sequence[LandedFile], confirm: Callable[[], None]
    ) -> None:
        """Make every file visible, and remove the files of earlier runs.

        :param stages: the sealed stages by file name, in the order of ``files``.
        :param files: the descriptions of the files.
        :param confirm: a function that is called last. A ``SalesNavigatorError`` means that it did nothing,
            so the publication fails. Any other error, or :class:`UnconfirmedError`, means that it may have
            succeeded, so the files stay.
        :raises OvertakenError: another try or task wrote a file of this export meanwhile.
        :raises SalesNavigatorDestinationError: the store failed, or ``if_exists="fail"`` and files exist.
        """
        try:
            with self._store.locked():
                self.refuse_existing()
                if self._options.if_exists == "overwrite":
                    self._seen = self._listed()
                self._publish(stages, files)
            self._check()
        except BaseException as error:  # also after an interrupt: a leftover file would make every retry fail
            self._roll_back(error)
            raise
        try:
            confirm()
        except UnconfirmedError:
            raise
        except SalesNavigatorError as error:
            self._roll_back(error)
            raise

    def _publish(self, stages: Mapping[str, Stage], files: Sequence[LandedFile]) -> None:
        manifest = manifest_name(self._options.base_name)
        if manifest in self._seen:
            # The old manifest describes files that this try replaces.
            self._remove(manifest, self._seen.pop(manifest))
        for (name, stage), file in zip(stages.items(), files, strict=True):
            self._reveal(name, stage, file.bytes)
        for name, seen in self._seen.items():
            if self._is_leftover(name, seen) or self._is_of_earlier_run(name, stages):
                self._remove(name, seen)
        if self._options.manifest:
            self._write_manifest(manifest, files)
        if len(self._revealed) > 1:
            self._check_first()

    def _reveal(self, name: str, stage: Stage, size: int) -> None:
        for tries in range(_TRIES):
            self._check()
            # Recorded before the request, because an interrupt may come after the store published the file.
            self._revealed[name] = stage
            try:
                stage.publish(self._seen.get(name))
                break
            except OvertakenError:
                del self._revealed[name]
                if not self._revealed or tries == _TRIES - 1:
                    if self._options.if_exists == "fail":
                        raise self._already_there([name]) from None
                    raise
                # This try has the first name. The try that wrote this file stops and removes its own files.
                self._check_first()
                self._seen_again(name, stage)
            except SalesNavigatorError:
                if not stage.may_be_revealed():
                    del self._revealed[name]
                raise
        self._verify(stage, size)

    def _seen_again(self, name: str, stage: Stage) -> None:
        if self._options.if_exists == "fail":
            time.sleep(_PAUSE)
        elif found := stage.look():
            self._seen[name] = found
        else:
            self._seen.pop(name, None)

    def _verify(self, stage: Stage, size: int | None = None) -> None:
        """Check that the store has this try's file under its name, with the right size in bytes."""
        found = stage.look()
        if found is None:
            raise SalesNavigatorDestinationError(f"{stage.uri} was published and is not there.")
        if not stage.is_own(found):
            raise OvertakenError(
                f"{stage.uri} was replaced by another try or task meanwhile. Its files stay."
            )
        self._marks = self._marks or found.attempt is not None
        if size not in (None, found.size):
            raise SalesNavigatorDestinationError(
                f"{stage.uri} has {found.size} bytes on the store where {size} were written."
            )

    def _check_first(self) -> None:
        self._verify(next(iter(self._revealed.values())))

    def _roll_back(self, error: BaseException) -> None:
        # Remove files only in these two cases. With if_exists="fail", a file left here would make the retry
        # fail. After an OvertakenError, this try's files would be mixed with those of the other try.
        if self._options.if_exists != "fail" and not isinstance(error, OvertakenError):
            return
        # The first name is removed last, because it keeps other tries out.
        for name, stage in reversed(list(self._revealed.items())):
            with suppress(SalesNavigatorError):
                found = stage.look()
                if name not in self._seen and stage.may_take_back and found and stage.is_own(found):
                    self._remove_if_same(name, found)
                    del self._revealed[name]

    def _write_manifest(self, name: str, files: Sequence[LandedFile]) -> None:
        exclusive = self._options.if_exists == "fail"
        stage = open_stage(self._folder / name, attempt=self._options.attempt, exclusive=exclusive)
        try:
            listed = {"file_count": len(files), "files": [file.to_json() for file in files]}
            text = json.dumps(self._export.identity() | listed, indent=2).encode()
            stage.write(text)
            stage.seal()
            self._reveal(name, stage, len(text))
        finally:
            stage.discard()

    def _listed(self) -> dict[str, Stored]:
        """Return this export's files in the folder, published and staged, by name."""
        base_name = self._options.base_name
        with reporting_refusal(uri_of(self._folder), "listed"):
            found = self._store.listed(base_name, f".{base_name}")
            return {
                name: stored
                for name, stored in found.items()
                if belongs_to(base_name, name) and not self._is_of_others(name)
            }

    def _is_of_others(self, name: str) -> bool:
        """Return True for a Parquet file that another program may have made from a landed CSV file."""
        if self._options.format == "parquet" or not name.endswith(SUFFIXES["parquet", None]):
            return False
        end: bytes = self._folder.fs.tail((self._folder / name).path, _FOOTER_BYTES)
        return PARQUET_MARK not in end

    def _is_leftover(self, name: str, seen: Stored) -> bool:
        old = seen.written_at is not None and time.time() - seen.written_at > _LEFTOVER_SECONDS
        return leftover_of(name) is not None and old

    def _is_of_earlier_run(self, name: str, stages: Mapping[str, Stage]) -> bool:
        if name in stages or leftover_of(name):
            return False
        if not self._marks:
            return True
        uri = uri_of(self._folder / name)
        with reporting_refusal(uri, "found again"):
            found = self._store.look(name)
        if found and found.attempt is None:
            self._log.warning("%s stays: its metadata does not say that a landing wrote it", uri)
            return False
        return True

    def _remove(self, name: str, seen: Stored) -> None:
        self._check()
        if not leftover_of(name):
            self._removed.append(name)
        self._remove_if_same(name, seen)

    def _remove_if_same(self, name: str, seen: Stored) -> None:
        uri = uri_of(self._folder / name)
        self._log.info("Removing %s", uri)
        with reporting_refusal(uri, "removed"):
            if not self._store.remove(name, seen):
                raise OvertakenError(
                    f"{uri} was written by another try or task while this one published. That file stays."
                )

    def _already_there(self, names: Sequence[str]) -> SalesNavigatorDestinationError:
        return SalesNavigatorDestinationError(
            f"{uri_of(self._folder)} already holds {', '.join(names[:5])}"
            f"{' and others' if len(names) > 5 else ''}, and if_exists='fail'. Remove them, or use"
            " if_exists='overwrite'.",
            retryable=False,
        )
