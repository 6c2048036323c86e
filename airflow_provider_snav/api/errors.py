"""Every error of this package.

::

    SalesNavigatorError
    ├── SalesNavigatorConfigurationError   an argument or the connection is wrong; nothing was sent
    │   ├── SalesNavigatorWindowError        LinkedIn would refuse the export window
    │   ├── SalesNavigatorCredentialError    the connection has no credential for this call
    │   └── SalesNavigatorHostError          a token must not be sent to this host
    ├── SalesNavigatorApiError             LinkedIn answered with an error (status_code, request_id, ...)
    │   ├── SalesNavigatorBadRequestError    400, 405, 411, 414 and other 4xx; a redirect
    │   ├── SalesNavigatorAuthenticationError  401, or LinkedIn issues no token
    │   ├── SalesNavigatorPermissionError    403
    │   ├── SalesNavigatorNotFoundError      404, 410
    │   ├── SalesNavigatorRateLimitError     429 (daily)
    │   └── SalesNavigatorServerError        5xx, 408, ...; an answer that is not LinkedIn's
    ├── SalesNavigatorPartialError         LinkedIn failed on some keys of a batch (results)
    ├── SalesNavigatorConnectionError      no answer at all: network, TLS, timeout
    ├── SalesNavigatorStoppedError         Airflow stopped the task
    ├── SalesNavigatorExportError          the export ended without a file
    │   ├── SalesNavigatorExportFailedError    LinkedIn reported a FAILED_* status (status, job_id)
    │   └── SalesNavigatorExportTimeoutError   the deadline passed
    └── SalesNavigatorLandingError         nothing was published
        ├── SalesNavigatorIncompleteDownloadError  the stream was cut, or is not an export
        ├── SalesNavigatorRowCountError            rows and rowCount differ (expected, actual)
        └── SalesNavigatorDestinationError         a store failed, or the file exists already

``retryable`` is False if a retry would fail in the same way. Operators turn such an error into one that
Airflow does not retry. ``section`` names the section of ``docs/errors.md`` that says what to do. The last
message of a task names it, too. No message, attribute or ``repr`` here holds a token or a download URL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self


class SalesNavigatorError(Exception):
    """Base of all errors raised by this package.

    :param retryable: None for the value of the class.

    ``jobs_in_doubt`` is the number of jobs that LinkedIn may have created without an answer that named them.
    """

    retryable: bool = True
    section: str = "state-unknown"
    jobs_in_doubt: int = 0

    def __init__(self, *args: object, retryable: bool | None = None) -> None:
        super().__init__(*args)
        if retryable is not None:
            self.retryable = retryable

    @property
    def see(self) -> str:
        """The place in the error guide, and the command that prints it."""
        return f"(see docs/errors.md#{self.section}; python -m airflow_provider_snav explain {self.section})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The default copies an exception from args alone. That fails for classes with keyword arguments, and
        # so would a process pool.
        return _rebuilt, (type(self), self.args), self.__dict__

    def because(self, consequence: str) -> Self:
        """Add a sentence to the message: what became of the export, and what a retry will do."""
        self.args = (f"{self} {consequence}", *self.args[1:])
        return self


def _rebuilt(kind: type[SalesNavigatorError], args: tuple[Any, ...]) -> SalesNavigatorError:
    return kind.__new__(kind, *args)


class SalesNavigatorConfigurationError(SalesNavigatorError, ValueError):
    """An argument or the connection is wrong; nothing was sent to LinkedIn."""

    retryable = False
    section = "configuration"


class SalesNavigatorWindowError(SalesNavigatorConfigurationError):
    """The export window breaks a rule of the analytics export documents."""

    section = "window"


class SalesNavigatorCredentialError(SalesNavigatorConfigurationError):
    """The connection has no credential of the kind this call needs."""

    section = "credential"


class SalesNavigatorHostError(SalesNavigatorConfigurationError):
    """A token must not be sent to this URL: its host is not allowed, or it uses plain http."""

    section = "host"


class SalesNavigatorApiError(SalesNavigatorError):
    """LinkedIn answered with an error.

    :param message: the call, LinkedIn's message, and what to do.
    :param status_code: the HTTP status.
    :param service_error_code: LinkedIn's ``serviceErrorCode``, if the body has one.
    :param code: LinkedIn's ``code`` (text), if the body has one.
    :param request_ids: the headers ``x-li-uuid``, ``x-li-request-id`` and ``x-li-fabric`` of the answer, for
        LinkedIn's support.
    :param retry_after: seconds to wait before the next request, if the answer says so.
    """

    section = "api"

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        service_error_code: int | None = None,
        code: str | None = None,
        request_ids: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.service_error_code = service_error_code
        self.code = code
        self.request_ids = dict(request_ids or {})
        self.retry_after = retry_after

    @property
    def request_id(self) -> str | None:
        """The id to give to LinkedIn's support; None if the answer had none."""
        return next(iter(self.request_ids.values()), None)


class SalesNavigatorBadRequestError(SalesNavigatorApiError):
    """LinkedIn refused the request: 400, and every 4xx without another class."""

    retryable = False
    section = "bad-request"


class SalesNavigatorAuthenticationError(SalesNavigatorApiError):
    """401: the token is expired, revoked or invalid and was not renewed; or LinkedIn issues no token."""

    retryable = False
    section = "authentication"


class SalesNavigatorPermissionError(SalesNavigatorApiError):
    """403: the token is valid, but its scope or the member's role does not allow this call."""

    retryable = False
    section = "permission"


class SalesNavigatorNotFoundError(SalesNavigatorApiError):
    """404 or 410: no such job or record, or the job has expired."""

    retryable = False
    section = "not-found"


class SalesNavigatorRateLimitError(SalesNavigatorApiError):
    """429: a call budget is used up.

    :param daily: True for a DAY limit, which resets at midnight UTC.
    """

    section = "rate-limit"

    def __init__(
        self,
        message: str,
        *,
        status_code: int = 429,
        service_error_code: int | None = None,
        code: str | None = None,
        request_ids: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        daily: bool = False,
    ) -> None:
        super().__init__(
            message,
            status_code=status_code,
            service_error_code=service_error_code,
            code=code,
            request_ids=request_ids,
            retry_after=retry_after,
        )
        self.daily = daily


class SalesNavigatorServerError(SalesNavigatorApiError):
    """5xx, 408, 421, 423 or 425; or the answer is not LinkedIn's, or does not belong to the call."""

    section = "server"


class SalesNavigatorPartialError(SalesNavigatorError):
    """LinkedIn failed on some keys of a batch and answered the others.

    :param results: one AssociationResult for each key, in the order of the keys.
    """

    section = "partial"

    def __init__(self, message: str, *, results: Sequence[Any]) -> None:
        super().__init__(message)
        self.results = list(results)


class SalesNavigatorConnectionError(SalesNavigatorError):
    """No answer came, and all tries of this call are used up."""

    section = "connection"


class SalesNavigatorStoppedError(SalesNavigatorError):
    """Airflow stopped the task: its pod was evicted, it was cleared or marked, or Airflow itself stopped."""

    section = "stopped"


class SalesNavigatorExportError(SalesNavigatorError):
    """The export ended without a file."""

    section = "export"


_SECTIONS = {
    "FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR": "exceeded-file-size",
    "FAILED_DUE_TO_TIMED_OUT": "timed-out",
    "FAILED_DUE_TO_DATA_DELAY": "data-delay",
    "FAILED_DUE_TO_INTERNAL_ERROR": "internal-error",
}


class SalesNavigatorExportFailedError(SalesNavigatorExportError):
    """LinkedIn reported a ``FAILED_*`` status.

    :param status: the status as LinkedIn wrote it.
    :param job_id: the job that failed.
    """

    section = "export-failed"

    def __init__(self, message: str, *, status: str, job_id: int | None, retryable: bool = True) -> None:
        super().__init__(message, retryable=retryable)
        self.status = status
        self.job_id = job_id
        self.section = _SECTIONS.get(status, self.section)


class SalesNavigatorExportTimeoutError(SalesNavigatorExportError):
    """The export was not complete at the deadline. The jobs continue at LinkedIn."""

    section = "export-timeout"


class SalesNavigatorLandingError(SalesNavigatorError):
    """A file could not be landed. Nothing was published."""

    section = "landing"


class SalesNavigatorIncompleteDownloadError(SalesNavigatorLandingError):
    """The file ended early, is damaged, or is not an export."""

    section = "incomplete-download"


class SalesNavigatorRowCountError(SalesNavigatorLandingError):
    """The number of rows in the file is not LinkedIn's ``rowCount``.

    :param expected: LinkedIn's ``rowCount``.
    :param actual: the CSV records of the file, without the header.
    """

    section = "row-count"

    def __init__(self, message: str, *, expected: int, actual: int) -> None:
        super().__init__(message)
        self.expected = expected
        self.actual = actual


class SalesNavigatorDestinationError(SalesNavigatorLandingError):
    """A store could not be read or written, or the file exists already."""

    section = "destination"


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """Return the text on one line, without the secrets and without words that may be a signed URL."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join("***" if "://" in word or "?" in word.rstrip("?") else word for word in text.split())
