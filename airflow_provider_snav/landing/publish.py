"""Staged files made visible: all of them, and of earlier runs of the export none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_snav.api.errors import SalesNavigatorDestinationError, SalesNavigatorError
from airflow_provider_snav.landing.names import belongs_to, manifest_name
from airflow_provider_snav.landing.plan import LandedFile, Terms
from airflow_provider_snav.storage.staging import Stage, leftover_of, open_stage, reporting_refusal, uri_of

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath


class Publication:
    """The files of one export in one folder, before and after they are visible.

    ``touched`` are the names that may hold something else now than before.

    :param check: raises if this try may change nothing more; is called before each change.
    """

    def __init__(self, folder: ObjectStoragePath, terms: Terms, check: Callable[[], None], log: Any) -> None:
        self._folder = folder
        self._terms = terms
        self._check = check
        self._log = log
        self.touched: list[str] = []

    def refuse_existing(self) -> None:
        """:raises SalesNavigatorDestinationError: ``if_exists="fail"`` and something lies there."""
        published = [name for name in self._existing() if not leftover_of(name)]
        if published and self._terms.if_exists == "fail":
            raise SalesNavigatorDestinationError(
                f"{uri_of(self._folder)} already holds {', '.join(published[:5])}"
                f"{' and others' if len(published) > 5 else ''}, and if_exists='fail'. Remove them, or use"
                " if_exists='overwrite'.",
                retryable=False,
            )

    def publish(
        self, stages: Mapping[str, Stage], files: Sequence[LandedFile], confirm: Callable[[], None]
    ) -> None:
        """Make every file visible and remove those of earlier runs.

        :param stages: by name, in the order of ``files``.
        :param confirm: is called last; where it fails, publication has failed.
        """
        # Again: another try may have landed meanwhile.
        self.refuse_existing()
        try:
            self._publish(stages, files)
            confirm()
        except SalesNavigatorError:
            self._take_back()
            raise

    def _publish(self, stages: Mapping[str, Stage], files: Sequence[LandedFile]) -> None:
        manifest = manifest_name(self._terms.stem)
        self._check()
        if manifest in self._existing():
            # It describes the files that are about to be replaced.
            self.touched.append(manifest)
            self._remove([manifest])
        for (name, stage), file in zip(stages.items(), files, strict=True):
            self._check()
            try:
                stage.publish()
            except SalesNavigatorDestinationError:
                if stage.may_be_revealed():
                    self.touched.append(name)
                raise
            self.touched.append(name)
            path = self._folder / name
            with reporting_refusal(file.uri, "measured"):
                stored = path.fs.size(path.path)
            if stored != file.bytes:
                raise SalesNavigatorDestinationError(
                    f"{file.uri} has {stored} bytes on the store where {file.bytes} were written."
                )
        self._check()
        self._remove(set(self._existing()) - stages.keys())
        if self._terms.manifest:
            self._write_manifest(self._folder / manifest, files)

    def _take_back(self) -> None:
        """Where nothing lay before, leave nothing: else ``if_exists="fail"`` would refuse the retry."""
        if self._terms.if_exists == "fail":
            # Only files of this try: another try's may belong to a task that succeeded.
            self._remove(set(self.touched).intersection(self._existing()))
            self.touched.clear()

    def _write_manifest(self, path: ObjectStoragePath, files: Sequence[LandedFile]) -> None:
        stage = open_stage(path, attempt=self._terms.attempt)
        try:
            stage.write(json.dumps({"files": [asdict(file) for file in files]}, indent=2).encode())
            stage.seal()
            self._check()
            # First: the answer to its publication may be lost.
            self.touched.append(path.name)
            stage.publish()
        finally:
            stage.discard()

    def _existing(self) -> list[str]:
        """Names in the folder that belong to this export."""
        fs = self._folder.fs
        fs.invalidate_cache()
        with reporting_refusal(uri_of(self._folder), "listed"):
            try:
                paths = fs.ls(self._folder.path, detail=False)
            except FileNotFoundError:
                return []
        names = (str(path).rstrip("/").rpartition("/")[2] for path in paths)
        return sorted(name for name in names if belongs_to(self._terms.stem, name))

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = self._folder / name
            self._log.info("Removing %s", uri_of(path))
            with reporting_refusal(uri_of(path), "removed"):
                path.fs.rm_file(path.path)
