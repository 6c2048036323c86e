"""Every error of this package, and what each one asks of the reader.

::

    SalesNavigatorError
    ├── SalesNavigatorConfigurationError   an argument or the connection is wrong; nothing was sent
    │   ├── SalesNavigatorWindowError        the export window is one LinkedIn refuses
    │   ├── SalesNavigatorCredentialError    the connection lacks the credential this call needs
    │   └── SalesNavigatorHostError          a token would leave for a host that is not allowed
    ├── SalesNavigatorApiError             LinkedIn answered with an error (status_code, request_id, ...)
    │   ├── SalesNavigatorBadRequestError    400, 405, 411, 414 and other 4xx; a redirect
    │   ├── SalesNavigatorAuthenticationError  401, or no new token to be had
    │   ├── SalesNavigatorPermissionError    403
    │   ├── SalesNavigatorNotFoundError      404, 410
    │   ├── SalesNavigatorRateLimitError     429 (daily)
    │   └── SalesNavigatorServerError        5xx and what else passes; an answer that is not LinkedIn's
    ├── SalesNavigatorPartialError         LinkedIn failed on some keys of a batch (results)
    ├── SalesNavigatorConnectionError      no answer at all: network, TLS, timeout
    ├── SalesNavigatorStoppedError         Airflow stopped the task
    ├── SalesNavigatorExportError          the export ended without a file
    │   ├── SalesNavigatorExportFailedError    LinkedIn reported a FAILED_* status (status, job_id)
    │   └── SalesNavigatorExportTimeoutError   the deadline passed
    └── SalesNavigatorLandingError         nothing was published
        ├── SalesNavigatorIncompleteDownloadError  the stream was cut, or is not an export
        ├── SalesNavigatorRowCountError            rows and rowCount differ (expected, actual)
        └── SalesNavigatorDestinationError         the store refused, or something lies there already

``retryable`` says whether trying the same thing again can help; operators turn an error that is
not retryable into one Airflow does not retry. ``section`` is where ``docs/errors.md`` says what to
do; a task's last message names it. No message, attribute or ``repr`` here ever holds a token or a
download URL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self


class SalesNavigatorError(Exception):
    """Base of all errors raised by this package.

    :param retryable: None for what is true of the class.

    ``jobs_in_doubt`` is the number of jobs LinkedIn may have created although no answer named them.
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
        """Where the documentation says what happened and what to do, and the command that prints it."""
        return f"(see docs/errors.md#{self.section}; python -m airflow_provider_snav explain {self.section})"

    def __reduce__(self) -> tuple[Any, ...]:
        # By default a copy is made from args alone, which the classes with keywords refuse; a process
        # pool breaks on it.
        return _rebuilt, (type(self), self.args), self.__dict__

    def because(self, consequence: str) -> Self:
        """Add to the message what this means for the export: the job's fate and what a retry will do."""
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
    """A URL that no token may go to: a host neither LinkedIn's nor named by the connection, or plain http."""

    section = "host"


class SalesNavigatorApiError(SalesNavigatorError):
    """LinkedIn answered with an error.

    :param message: what was asked, what LinkedIn said and what to do.
    :param status_code: the HTTP status.
    :param service_error_code: LinkedIn's numeric ``serviceErrorCode``, when the body has one.
    :param code: LinkedIn's textual ``code``, when the body has one.
    :param request_ids: ``x-li-uuid``, ``x-li-request-id`` and ``x-li-fabric`` as answered; LinkedIn
        support asks for them.
    :param retry_after: seconds to wait before the next try, when the answer says so.
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
        """The one id to quote to LinkedIn support, or None when the answer carried none."""
        return next(iter(self.request_ids.values()), None)


class SalesNavigatorBadRequestError(SalesNavigatorApiError):
    """LinkedIn refused the request itself (400 and other 4xx without a class of their own)."""

    retryable = False
    section = "bad-request"


class SalesNavigatorAuthenticationError(SalesNavigatorApiError):
    """401: the token is expired, revoked or invalid and could not be renewed; or LinkedIn issues none."""

    retryable = False
    section = "authentication"


class SalesNavigatorPermissionError(SalesNavigatorApiError):
    """403: the token is valid and lacks the scope or the role this call needs."""

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
    """5xx, 408, 421, 423, 425; or an answer that is not LinkedIn's, or is not one to this call."""

    section = "server"


class SalesNavigatorPartialError(SalesNavigatorError):
    """LinkedIn failed on some keys of a batch and answered the others.

    :param results: one AssociationResult a key, in the order asked.
    """

    section = "partial"

    def __init__(self, message: str, *, results: Sequence[Any]) -> None:
        super().__init__(message)
        self.results = list(results)


class SalesNavigatorConnectionError(SalesNavigatorError):
    """LinkedIn could not be reached; the tries of this call are used up."""

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
    """The export was not complete at the deadline; the job goes on at LinkedIn."""

    section = "export-timeout"


class SalesNavigatorLandingError(SalesNavigatorError):
    """A file could not be landed; nothing was published."""

    section = "landing"


class SalesNavigatorIncompleteDownloadError(SalesNavigatorLandingError):
    """The stream ended early, is damaged, or is not an export at all."""

    section = "incomplete-download"


class SalesNavigatorRowCountError(SalesNavigatorLandingError):
    """The file's rows differ from the ``rowCount`` LinkedIn stated.

    :param expected: LinkedIn's ``rowCount``.
    :param actual: CSV records counted, header excluded.
    """

    section = "row-count"

    def __init__(self, message: str, *, expected: int, actual: int) -> None:
        super().__init__(message)
        self.expected = expected
        self.actual = actual


class SalesNavigatorDestinationError(SalesNavigatorLandingError):
    """The store refused to be written or read, or something lies at the destination already."""

    section = "destination"


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """The text on one line, without secrets and without anything that may be a signed URL."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join("***" if "://" in word or "?" in word.rstrip("?") else word for word in text.split())
