"""Writing a file to a store so that a reader sees all of it or nothing.

When fsspec closes a file, the file becomes visible, even if an error ended the ``with`` block. A
:class:`Stage` has separate steps: sealed bytes are on the store, but only publishing makes them visible.

======================  ===========================================  ====================================
protocols               the staged bytes are                         publishing them is
======================  ===========================================  ====================================
s3, s3a, s3n            a multipart upload                           one request, atomic
abfs, abfss, adl, az    blocks of a blob that are in no list yet     one request, atomic
gs, gcs                 a resumable upload                           one request, atomic [1]_
file, local             a temporary sibling                          one ``rename(2)``, atomic
sftp, ssh               a temporary sibling                          one rename, atomic [2]_
all others              a temporary sibling                          a move, often a copy and a delete
======================  ===========================================  ====================================

.. [1] Not in a zonal bucket (Rapid Storage), where gcsfs shows bytes as they are written.
.. [2] It needs OpenSSH's extension ``posix-rename``, which most servers have. Otherwise opening fails: SFTP's
   own rename replaces no file, and a copy by sshfs (``cp`` in a shell) shows half a file.

A killed process leaves its stage behind. :func:`leftover_of` finds temporary siblings. An abandoned upload is
invisible but takes space. Google and Azure delete it after a week; Azure also when the file is published. S3
deletes it only if the bucket has a lifecycle rule for incomplete multipart uploads.
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

# The errors of a file system without hard links.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)

_ATTEMPT = re.compile(r"[\w-]+", re.ASCII)
_LEFTOVER = re.compile(rf"\.(?P<name>.+)\.{_ATTEMPT.pattern}\.staged", re.ASCII)


class OvertakenError(SalesNavigatorDestinationError):
    """Another try or task wrote a file with this name. That file stays."""


def open_stage(path: ObjectStoragePath, *, attempt: str, exclusive: bool = False) -> Stage:
    """Start a file that becomes visible at ``path`` only when it is published.

    :param path: of the new file. Its folder is created if the store has real folders.
    :param attempt: a name for this try that no other try uses: letters, digits, ``-``, ``_``.
    :param exclusive: True if the file must replace no file. Some stores then enforce this themselves.
    :raises SalesNavigatorDestinationError: the store refused, or cannot publish a file in one step.
    :raises ValueError: ``attempt`` has another character.
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
            # The server supports the request. It fails because the file does not exist.
            return True
    return True


def leftover_of(name: str) -> str | None:
    """Return the final name of a temporary sibling, or None if ``name`` is not that of one."""
    match = _LEFTOVER.fullmatch(name)
    return match["name"] if match else None


def uri_of(path: ObjectStoragePath) -> str:
    """Return the URI of a path without the connection id, which ``str(path)`` contains."""
    return f"{path.protocol or 'file'}://{path.path}"


@contextmanager
def reporting_refusal(uri: str, done: str) -> Iterator[None]:
    """Replace any error of a store by one error that says what to check.

    :param uri: of the file or folder.
    :param done: the participle of the failed action, as in "could not be written".
    :raises SalesNavigatorDestinationError: the store failed.
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
    """Return True for an error of a store or its library, False for one of a program, such as TypeError."""
    return isinstance(error, OSError) or type(error).__module__ != "builtins"


class Stage(ABC):
    """One file that is not visible yet. Call write, then seal, then publish or discard.

    Every method but ``discard`` raises :class:`SalesNavigatorDestinationError` when the store refuses.
    Only one thread at a time may use it.
    """

    _staged: str
    """A description for the log, for a user who must remove the staged bytes by hand."""

    _keeps_version = True
    """True if publishing does not change the version. The version then shows which try wrote a file."""

    def __init__(self, path: ObjectStoragePath, attempt: str, exclusive: bool) -> None:
        self.uri = uri_of(path)
        self._target = path.path
        self._folder, _, self._name = self._target.rpartition("/")
        self._attempt, self._exclusive = attempt, exclusive
        self._sealed = self._revealing = self._settled = False
        with reporting_refusal(self.uri, "opened for writing"):
            self._fs: Any = path.fs
            self._store = folder_of(path.parent)
            # Not path.open(): it reports the temporary name to lineage, and takes 70 us for each write.
            self._file: Any = self._open(path.protocol)

    def write(self, data: bytes) -> None:
        """Append ``data``. Chunks of 256 KiB and more are the fastest."""
        with reporting_refusal(self.uri, "written"):
            self._file.write(data)

    def seal(self) -> None:
        """End the file. Its bytes are then on the store and not visible. Memory holds none of them.

        Google is an exception: the last bytes, fewer than 256 KiB, stay in memory until ``publish``.
        """
        with reporting_refusal(self.uri, "written to its end"):
            self._file.close()
        self._sealed = True

    def publish(self, replaces: Stored | None = ANYTHING) -> None:
        """Make the sealed file visible under its name.

        :param replaces: the only file that may be replaced, or None for no file. The default is any file.
        :raises OvertakenError: another file has this name. It stays.
        """
        if not self._sealed:
            raise ValueError("seal() must succeed before publish()")
        with reporting_refusal(self.uri, "published"):
            if replaces is not ANYTHING and not self._sees_to(replaces):
                self._check(replaces)
            self._revealing = True
            try:
                self._reveal(replaces)
            except Exception:  # any client's error may mean that another try wrote a file
                if replaces is not ANYTHING and self._keeps_version:
                    self._check(replaces)
                raise
            # Another part of the process may have listed the folder before the publication.
            self._fs.invalidate_cache(self._folder)
        self._settled = True

    def look(self) -> Stored | None:
        """Return the file that has the final name now, or None."""
        with reporting_refusal(self.uri, "found again"):
            return self._store.look(self._name)

    @abstractmethod
    def is_own(self, found: Stored) -> bool:
        """Return True if ``found`` is the file that this stage published."""

    @property
    @abstractmethod
    def may_take_back(self) -> bool:
        """True if ``is_own`` is enough proof to delete the file that was found."""

    def may_be_revealed(self) -> bool:
        """Return True if a failed ``publish`` may have succeeded, because only its answer was lost."""
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
        """Remove the staged bytes, unless they are published or removed already. It never raises an error."""
        if self._settled:
            return
        self._settled = True
        try:
            self._remove()
        except Exception:  # the task must report the first error, not this one
            log.warning("Could not remove %s; it can be deleted", self._staged, exc_info=True)

    @abstractmethod
    def _open(self, protocol: str) -> Any: ...

    @abstractmethod
    def _sees_to(self, replaces: Stored | None) -> bool:
        """Return True if the store itself refuses to replace any other file."""

    @abstractmethod
    def _reveal(self, replaces: Stored | None) -> None: ...

    @abstractmethod
    def _remove(self) -> None: ...


class _Upload(Stage):
    """The bytes go to the final name, in an upload that stays invisible until it is committed."""

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
        """See :meth:`Stage.is_own`. Without metadata on the store, the version decides."""
        if found.attempt:
            return found.attempt == self._attempt
        version = self._file.generation if self._is_google else self._file.version
        tag = found.version[0] if isinstance(found.version, tuple) else found.version
        return version is not None and version == tag

    def _sees_to(self, replaces: Stored | None) -> bool:
        # Not S3, because its server or botocore may not support conditional requests.
        return replaces is None and self._is_azure

    def _reveal(self, replaces: Stored | None) -> None:
        if self._is_google:
            self._file.commit()
        else:
            self._file.commit(replaces)

    def _remove(self) -> None:
        # An open file of gcsfs closes itself at garbage collection, and starts the upload again to do so.
        self._file.closed = True
        self._file.discard()


class _TemporarySibling(Stage):
    """The bytes go to a hidden file in the same folder, which then moves to the final name.

    Hive, Spark and Trino ignore names with a leading dot, so they read no hidden file.
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
        """See :meth:`Stage.seal`. On a disk, the bytes then survive a power cut."""
        super().seal()
        with reporting_refusal(self.uri, "written to its end"):
            self._store.sync(self._hidden)
            # A move keeps this version. After a copy, _reveal reads the new version.
            self._own = self._store.look(self._hidden)

    def is_own(self, found: Stored) -> bool:
        """See :meth:`Stage.is_own`."""
        return self._own is not None and found.version == self._own.version

    @property
    def may_take_back(self) -> bool:
        """See :meth:`Stage.may_take_back`.

        On SFTP, time and size are the version, and another try's file may have the same. But an ``exclusive``
        try never replaces a file.
        """
        return self._local or (self._remote and self._exclusive)

    def _sees_to(self, replaces: Stored | None) -> bool:
        return replaces is None and (self._remote or (self._local and self._exclusive))

    def _reveal(self, replaces: Stored | None) -> None:
        alone = self._sees_to(replaces)
        if self._local:
            # Not fsspec's move: it may copy, and a full disk would then leave half a file under the name.
            self._link(replaces) if alone else Path(self._temporary).replace(self._target)
            self._store.sync()
        elif self._remote and alone:
            # SFTP's own rename never replaces a file.
            awaited(self._fs, self._rename())
        elif self._remote:
            self._fs.mv(self._temporary, self._target)
        else:
            self._before = self._store.look(self._name)
            self._fs.mv(self._temporary, self._target)
            self._own = self._store.look(self._name)

    def _is_revealed(self, found: Stored | None) -> bool:
        # A store that copies may fail after the copy is complete.
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
        # A failure to write the last bytes does not matter, because the file is deleted next.
        with suppress(Exception):
            self._file.close()
        self._fs.rm_file(self._temporary)
