"""The endpoints for contracts, sales access tokens and profile associations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from hashlib import blake2b
from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from airflow_provider_snav.sandbox.backend import Backend
from airflow_provider_snav.sandbox.restli import (
    ReceivedRequest,
    RestliError,
    decode_list_of_maps,
    decode_map,
    encode_map_reduced,
    invalid,
)
from airflow_provider_snav.sandbox.settings import SandboxContract
from airflow_provider_snav.sandbox.tokens import Scope

NO_MATCH = "no-match"
ABSENT = "absent"
FAILING = "failing"

_DEFAULT_COUNT = 10
_KEY_FIELDS = {"instanceId", "partner", "recordId"}
_SALES_TOKEN_TTL = timedelta(minutes=30)


def contracts(backend: Backend, call: ReceivedRequest, _: str) -> Response:
    """``GET /salesContracts?q=contractsByMember``, with Rest.li's paging by ``start`` and ``count``."""
    parameters = call.parameters("q", optional=("start", "count"))
    _check_finder(parameters["q"], "contractsByMember")
    start = _integer(parameters, "start", default=0)
    count = _integer(parameters, "count", default=_DEFAULT_COUNT, least=1)
    known = backend.settings.contracts
    links = []
    if backend.settings.next_links and start + count < len(known):
        href = f"/v2/salesContracts?q=contractsByMember&start={start + count}&count={count}"
        links.append({"rel": "next", "href": href, "type": "application/json"})
    return JSONResponse(
        {
            "elements": [_contract(one) for one in known[start : start + count]],
            "paging": {"count": count, "start": start, "links": links},
        }
    )


def sales_access_tokens(backend: Backend, call: ReceivedRequest, _: str) -> Response:
    """``GET /salesAccessTokens?q=viewerAndDeveloperApp`` (sales-access-tokens).

    ``expiryTime`` is in epoch seconds; all other times of this API are in milliseconds.
    """
    _check_finder(call.parameters("q")["q"], "viewerAndDeveloperApp")
    token = backend.tokens.issue(frozenset({Scope.DISPLAY}), _SALES_TOKEN_TTL)
    expiry_time = backend.clock.now() // 1000 + int(_SALES_TOKEN_TTL.total_seconds())
    return JSONResponse(
        {
            "elements": [{"expiryTime": expiry_time, "token": token}],
            "paging": {"count": _DEFAULT_COUNT, "start": 0, "links": []},
        }
    )


def association(backend: Backend, call: ReceivedRequest, raw_key: str) -> Response:
    """``GET /salesNavigatorProfileAssociations/(instanceId:…,partner:…,recordId:…)``.

    Every record has a match, except if its ``recordId`` begins with ``no-match``, ``absent`` or ``failing``.
    For these the batch gives the three answers that Rest.li allows.
    """
    call.parameters()
    found = _lookup(_key(decode_map(raw_key, "key")))
    if found is None:
        raise _no_match()
    return JSONResponse(found)


def batch_associations(backend: Backend, call: ReceivedRequest, _: str) -> Response:
    """``GET /salesNavigatorProfileAssociations?ids=List((…),(…))``.

    A key of the answer has its fields in another order than in the request, as in the example of the
    "Rest.li 2.0 spec". So a client must compare keys as values, not as text.
    """
    results: dict[str, object] = {}
    errors: dict[str, object] = {}
    for values in decode_list_of_maps(call.parameters("ids")["ids"], "ids"):
        key = _key(values)
        name = encode_map_reduced(dict(sorted(key.items(), reverse=True)))
        try:
            found = _lookup(key)
        except RestliError as error:
            errors[name] = error.body()
        else:
            if found is not None:
                results[name] = found
    return JSONResponse({"statuses": {}, "results": results, "errors": errors})


def _lookup(key: Mapping[str, str]) -> dict[str, str] | None:
    record = key["recordId"]
    if record.startswith(ABSENT):
        return None
    if record.startswith(NO_MATCH):
        raise _no_match()
    if record.startswith(FAILING):
        raise RestliError(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
    digest = blake2b("/".join(key[name] for name in sorted(key)).encode(), digest_size=8)
    name = digest.hexdigest()
    found = {
        "member": f"urn:li:person:{name}",
        "profile": f"https://www.linkedin.com/sales/lead/{name}",
    }
    if digest.digest()[0] % 2:
        found["profilePhoto"] = f"https://media.licdn.com/dms/image/{name}"
    return found


def _no_match() -> RestliError:
    return RestliError(HTTPStatus.NOT_FOUND, "No match is available for this key")


def _key(values: dict[str, str]) -> dict[str, str]:
    if set(values) != _KEY_FIELDS:
        raise invalid("ids")
    return values


def _contract(contract: SandboxContract) -> dict[str, object]:
    description = {} if contract.description is None else {"description": contract.description}
    return {
        "contract": contract.contract,
        "name": contract.name,
        **description,
        "hasReportingAccess": contract.has_reporting_access,
    }


def _check_finder(value: str, expected: str) -> None:
    if value != expected:
        raise invalid("q")


def _integer(parameters: Mapping[str, str], name: str, *, default: int, least: int = 0) -> int:
    value = parameters.get(name, str(default))
    if not (value.isascii() and value.isdigit() and int(value) >= least):
        raise invalid(name)
    return int(value)
