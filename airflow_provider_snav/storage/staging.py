"""Writing a file to a store so that a reader sees all of it or nothing.

Closing a file that fsspec has open publishes it, even when the block around it failed. A :class:`Stage`
parts the two: what is written and sealed lies on the store but is not visible until it is published.

======================  ===========================================  ====================================
protocols               the staged bytes are                         publishing them is
======================  ===========================================  ====================================
s3, s3a, s3n            a multipart upload                           one request, atomic
abfs, abfss, adl, az    blocks of a blob that are in no list yet     one request, atomic
gs, gcs                 a resumable upload                           one request, atomic [1]_
file, local             a temporary sibling                          one ``rename(2)``, atomic
sftp, ssh               a temporary sibling                          one rename, atomic [2]_
all others              a temporary sibling                          the store's own move, often a copy on
                                                                     the server, then a delete
======================  ===========================================  ====================================

.. [1] Not in a zonal bucket (Rapid Storage), where gcsfs shows bytes as they are written.
.. [2] By OpenSSH's extension ``posix-rename``, which most servers have. One without it is refused before
   the first byte: SFTP's own rename replaces no file, and what sshfs does instead, ``cp`` in a shell, shows
   half a file, and loses the new one where no shell is allowed.

A process that is killed leaves its stage behind. Temporary siblings are found by :func:`leftover_of`. An
abandoned upload is invisible but takes space: Google and Azure drop it after a week (Azure sooner, if the
file is published meanwhile), S3 where the bucket has a lifecycle rule for incomplete multipart uploads.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_snav._private import sftp_channel
from airflow_provider_snav.api.errors import SalesNavigatorDestinationError, SalesNavigatorError
from airflow_provider_snav.storage.disk import DiskFile
from airflow_provider_snav.storage.folders import (
    ATTEMPT,
    AZURE_PROTOCOLS,
    GOOGLE_PROTOCOLS,
    LOCAL_PROTOCOLS,
    OBJECT_PROTOCOLS,
    S3_PROTOCOLS,
    SSH_PROTOCOLS,
    Stored,
    awaited,
    folder_of,
)
from airflow_provider_snav.storage.multipart import ANYTHING, BLOCK_BYTES, AzureUpload, S3Upload

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath

log = logging.getLogger(__name__)

# Where a file system has no hard links.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)

_ATTEMPT = re.compile(r"[\w-]+", re.ASCII)
_LEFTOVER = re.compile(rf"\.(?P<name>.+)\.{_ATTEMPT.pattern}\.staged", re.ASCII)


class OvertakenError(SalesNavigatorDestinationError):
    """Something lies under the name that did not lie there before; it stays."""


def open_stage(path: ObjectStoragePath, *, attempt: str, exclusive: bool = False) -> Stage:
    """Start a file that will appear at ``path`` when it is published, and not before.

    :param path: where the file is to lie. Its folder is created where the store has real folders.
    :param attempt: tells this try from every other one at the same file: letters, digits, ``-``, ``_``.
    :param exclusive: the file is to replace nothing; stores that can then see to it themselves.
    :raises SalesNavigatorDestinationError: the store refused, or cannot publish a file in one step.
    """
    if not _ATTEMPT.fullmatch(attempt):
        raise ValueError(f"attempt may hold letters, digits, - and _ only, not {attempt!r}")
    if path.protocol in SSH_PROTOCOLS:
        _check_rename(path, attempt)
    if path.protocol in OBJECT_PROTOCOLS:
        return _Upload(path, attempt, exclusive)
    return _TemporarySibling(path, attempt, exclusive)


def _check_rename(path: ObjectStoragePath, attempt: str) -> None:
    uri, missing = uri_of(path), f"{path.parent.path}/.{attempt}"
    with reporting_refusal(uri, "opened for writing"):
        found = awaited(path.fs, _has_posix_rename(path.fs, missing))
    if not found:
        raise SalesNavigatorDestinationError(
            f"{uri} cannot be published whole: this SFTP server lacks the extension posix-rename@openssh.com,"
            " so it cannot put one file in the place of another in one step. Use another server or storage.",
            retryable=False,
        )


async def _has_posix_rename(fs: Any, missing: str) -> bool:
    from asyncssh import SFTPError, SFTPOpUnsupported

    async with sftp_channel(fs) as channel:
        try:
            await channel.posix_rename(missing, missing)
        except SFTPOpUnsupported:
            return False
        except SFTPError:
            # The server knows the request; it fails because the file does not exist.
            return True
    return True


def leftover_of(name: str) -> str | None:
    """Return the file name a temporary sibling was to get, or None for the name of anything else."""
    match = _LEFTOVER.fullmatch(name)
    return match["name"] if match else None


def uri_of(path: ObjectStoragePath) -> str:
    """Return a path's URI as readers know it: without the connection id that ``str(path)`` carries."""
    return f"{path.protocol or 'file'}://{path.path}"


@contextmanager
def reporting_refusal(uri: str, done: str) -> Iterator[None]:
    """Raise what a store throws as one error that says what to check.

    :param uri: of what the store was asked for.
    :param done: what it was asked to do, as in "could not be written".
    """
    try:
        yield
    except SalesNavigatorError:
        raise
    except Exception as error:
        if not is_of_the_store(error):
            raise
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise SalesNavigatorDestinationError(
            f"{uri} could not be {done}: {reason}. Check that the bucket or folder exists and has room, and"
            " that the connection may list, read, write and delete there."
        ) from error


def is_of_the_store(error: Exception) -> bool:
    """Whether a store or its library raised this; a ``TypeError`` and its like are a fault of the program."""
    return isinstance(error, OSError) or type(error).__module__ != "builtins"


class Stage(ABC):
    """One file between its first byte and its publication: write, seal, then publish or discard.

    Every method but ``discard`` raises :class:`SalesNavigatorDestinationError` when the store refuses.
    Use from one thread at a time.
    """

    _staged: str
    """What to look for on the store, should it have to be removed by hand."""

    _keeps_version = True
    """Publishing leaves the version as it was, so that a look can tell whose file it finds."""

    def __init__(self, path: ObjectStoragePath, attempt: str, exclusive: bool) -> None:
        self.uri = uri_of(path)
        self._target = path.path
        self._folder, _, self._name = self._target.rpartition("/")
        self._attempt, self._exclusive = attempt, exclusive
        self._sealed = self._revealing = self._settled = False
        with reporting_refusal(self.uri, "opened for writing"):
            self._fs: Any = path.fs
            self._store = folder_of(path.parent)
            # Not path.open(): it would tell lineage of a temporary name, and takes 70 us for each write.
            self._file: Any = self._open(path.protocol)

    def write(self, data: bytes) -> None:
        """Append ``data``; chunks of 256 KiB and more are the fastest."""
        with reporting_refusal(self.uri, "written"):
            self._file.write(data)

    def seal(self) -> None:
        """End the file: its bytes are on the store and not visible, and their buffer is gone.

        (Google takes multiples of 256 KiB before the end is known: less than that stays here.)
        """
        with reporting_refusal(self.uri, "written to its end"):
            self._file.close()
        self._sealed = True

    def publish(self, replaces: Stored | None = ANYTHING) -> None:
        """Make the sealed file visible under its name.

        :param replaces: the only file that may lie there, None for none; without it, any file is replaced.
        :raises OvertakenError: something else lies there, and stays.
        """
        if not self._sealed:
            raise ValueError("seal() must succeed before publish()")
        with reporting_refusal(self.uri, "published"):
            if replaces is not ANYTHING and not self._sees_to(replaces):
                self._check(replaces)
            self._revealing = True
            try:
                self._reveal(replaces)
            except Exception:  # each client has errors of its own; a rival's file explains any of them
                if replaces is not ANYTHING and self._keeps_version:
                    self._check(replaces)
                raise
            # The folder may have been listed since the file was sealed.
            self._fs.invalidate_cache(self._folder)
        self._settled = True

    def look(self) -> Stored | None:
        """The file that lies under the name now."""
        with reporting_refusal(self.uri, "found again"):
            return self._store.look(self._name)

    @abstractmethod
    def is_own(self, found: Stored) -> bool:
        """Whether a file that was found is the one this stage published."""

    @property
    @abstractmethod
    def may_take_back(self) -> bool:
        """Whether ``is_own`` proves enough to delete the file that was found."""

    def may_be_revealed(self) -> bool:
        """Whether a ``publish`` that failed may have been done all the same: its answer may be lost."""
        if not self._revealing:
            return False
        try:
            return self._is_revealed(self.look())
        except SalesNavigatorError:
            return True

    def _is_revealed(self, found: Stored | None) -> bool:
        return found is not None and self.is_own(found)

    def _check(self, replaces: Stored | None) -> None:
        found = self._store.look(self._name)
        if found and not self.is_own(found) and (replaces is None or found.version != replaces.version):
            raise OvertakenError(
                f"{self.uri} was written by another try or task meanwhile. That file stays, and this"
                " try's was not published."
            )

    def discard(self) -> None:
        """Remove what was staged; after ``publish`` or a first ``discard``, do nothing.

        Never raises: it runs when something has failed already. What could not be removed is logged.
        """
        if self._settled:
            return
        self._settled = True
        try:
            self._remove()
        except Exception:  # whatever it is, the error that led here is the one to report
            log.warning("Could not remove %s; it can be deleted", self._staged, exc_info=True)

    @abstractmethod
    def _open(self, protocol: str) -> Any: ...

    @abstractmethod
    def _sees_to(self, replaces: Stored | None) -> bool:
        """Whether the store itself refuses to replace anything else."""

    @abstractmethod
    def _reveal(self, replaces: Stored | None) -> None: ...

    @abstractmethod
    def _remove(self) -> None: ...


class _Upload(Stage):
    """Bytes go to the final name, in an upload the store shows to no one until it is committed."""

    may_take_back = True

    def _open(self, protocol: str) -> Any:
        self._staged = f"the incomplete upload of {self.uri}"
        self._is_google, self._is_azure = protocol in GOOGLE_PROTOCOLS, protocol in AZURE_PROTOCOLS
        if protocol in S3_PROTOCOLS:
            return S3Upload(self._fs, self._target, self._attempt)
        if self._is_azure:
            return AzureUpload(self._fs, self._target, self._attempt)
        return self._fs.open(
            self._target,
            "xb" if self._exclusive else "wb",
            autocommit=False,
            block_size=BLOCK_BYTES,
            metadata={ATTEMPT: self._attempt},
        )

    def is_own(self, found: Stored) -> bool:
        """See :meth:`Stage.is_own`; a store that keeps no metadata is asked for the version."""
        if found.attempt:
            return found.attempt == self._attempt
        version = self._file.generation if self._is_google else self._file.version
        tag = found.version[0] if isinstance(found.version, tuple) else found.version
        return version is not None and version == tag

    def _sees_to(self, replaces: Stored | None) -> bool:
        # Not S3: its server, or botocore, may know no conditional requests.
        return replaces is None and self._is_azure

    def _reveal(self, replaces: Stored | None) -> None:
        if self._is_google:
            self._file.commit()
        else:
            self._file.commit(replaces)

    def _remove(self) -> None:
        # Left open, gcsfs's would close itself when garbage collected, and start the upload anew to do so.
        self._file.closed = True
        self._file.discard()


class _TemporarySibling(Stage):
    """Bytes go to a hidden file in the same folder, which is then moved over the final name.

    Hive, Spark and Trino take a leading dot for "not data", so not even a sibling left behind is read.
    """

    def _open(self, protocol: str) -> Any:
        self._hidden = f".{self._name}.{self._attempt}.staged"
        self._temporary = f"{self._folder}/{self._hidden}"
        self._staged = f"the temporary file {self._temporary}"
        self._own: Stored | None = None
        self._before: Stored | None = None
        self._local = protocol in LOCAL_PROTOCOLS
        self._remote = protocol in SSH_PROTOCOLS
        self._keeps_version = self._local or self._remote
        if self._keeps_version:
            self._fs.makedirs(self._folder, exist_ok=True)
        file = self._fs.open(self._temporary, "wb")
        return DiskFile(file) if self._local else file

    def seal(self) -> None:
        """See :meth:`Stage.seal`; on disk, a power cut after it loses no byte."""
        super().seal()
        with reporting_refusal(self.uri, "written to its end"):
            self._store.sync(self._hidden)
            # Only a move keeps it; see _reveal for a copy.
            self._own = self._store.look(self._hidden)

    def is_own(self, found: Stored) -> bool:
        """See :meth:`Stage.is_own`."""
        return self._own is not None and found.version == self._own.version

    @property
    def may_take_back(self) -> bool:
        """See :meth:`Stage.may_take_back`.

        SFTP knows a file by time and size, which a rival's may share; but no ``exclusive`` try replaces one.
        """
        return self._local or (self._remote and self._exclusive)

    def _sees_to(self, replaces: Stored | None) -> bool:
        return replaces is None and (self._remote or (self._local and self._exclusive))

    def _reveal(self, replaces: Stored | None) -> None:
        alone = self._sees_to(replaces)
        if self._local:
            # fsspec's own falls back to a copy, which a full disk would cut short over the old file.
            self._link(replaces) if alone else Path(self._temporary).replace(self._target)
            self._store.sync()
        elif self._remote and alone:
            # SFTP's own rename replaces no file.
            awaited(self._fs, self._rename())
        elif self._remote:
            self._fs.mv(self._temporary, self._target)
        else:
            self._before = self._store.look(self._name)
            self._fs.mv(self._temporary, self._target)
            self._own = self._store.look(self._name)

    def _is_revealed(self, found: Stored | None) -> bool:
        # A store that copies may fail after the copy.
        return super()._is_revealed(found) if self._keeps_version else found != self._before

    def _link(self, replaces: Stored | None) -> None:
        try:
            os.link(self._temporary, self._target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._check(replaces)
            Path(self._temporary).replace(self._target)
        else:
            Path(self._temporary).unlink()

    async def _rename(self) -> None:
        async with sftp_channel(self._fs) as channel:
            await channel.rename(self._temporary, self._target)

    def _remove(self) -> None:
        # It is about to be deleted: that its last bytes cannot be written does not matter.
        with suppress(Exception):
            self._file.close()
        self._fs.rm_file(self._temporary)
