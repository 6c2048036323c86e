"""The exception tree is the one its module draws, and says of each error whether a retry can help."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

from airflow_provider_snav.api import errors

TREE = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.SalesNavigatorError)
}
# What another try cannot mend.
FINAL = {
    "SalesNavigatorConfigurationError",
    "SalesNavigatorWindowError",
    "SalesNavigatorCredentialError",
    "SalesNavigatorHostError",
    "SalesNavigatorBadRequestError",
    "SalesNavigatorAuthenticationError",
    "SalesNavigatorPermissionError",
    "SalesNavigatorNotFoundError",
}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([ │├└─]*)(SalesNavigator\w+)", line):
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            drawn[found[2]] = path[depth - 1] if depth else "Exception"
    assert drawn == {name: kind.__bases__[0].__name__ for name, kind in TREE.items()}


@pytest.mark.parametrize("name", TREE)
def test_what_a_retry_cannot_mend_says_so(name: str) -> None:
    assert TREE[name].retryable is (name not in FINAL)


def test_a_configuration_error_is_a_value_error() -> None:
    assert issubclass(errors.SalesNavigatorConfigurationError, ValueError)


EXAMPLES: list[errors.SalesNavigatorError] = [
    errors.SalesNavigatorError("It failed."),
    errors.SalesNavigatorWindowError("It failed."),
    errors.SalesNavigatorNotFoundError("It failed.", status_code=404, request_ids={"x-li-uuid": "u"}),
    errors.SalesNavigatorRateLimitError("It failed.", retry_after=7, daily=True, code="X"),
    errors.SalesNavigatorExportFailedError("It failed.", status="FAILED", job_id=7, retryable=False),
    errors.SalesNavigatorRowCountError("It failed.", expected=1, actual=2),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copied", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])  # noqa: S301
def test_an_error_can_be_copied_and_sent_to_another_process(
    error: errors.SalesNavigatorError, copied: Any
) -> None:
    """A process pool breaks for good on an exception it cannot unpickle."""
    twin = copied(error)
    assert type(twin) is type(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert twin.retryable == error.retryable


def test_what_it_means_for_the_export_is_added_to_the_message() -> None:
    error = errors.SalesNavigatorNotFoundError("No such job.", status_code=404)
    assert error.because("A retry submits it.") is error
    assert str(error) == "No such job. A retry submits it."


def test_the_request_id_is_the_first_of_the_ids() -> None:
    ids = {"x-li-uuid": "u", "x-li-fabric": "f"}
    assert errors.SalesNavigatorServerError("No.", status_code=500, request_ids=ids).request_id == "u"
    assert errors.SalesNavigatorServerError("No.", status_code=500).request_id is None
