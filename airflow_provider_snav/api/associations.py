"""Profile associations: which LinkedIn member a CRM record was matched with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any, Self
from urllib.parse import unquote

from airflow_provider_snav.api import restli
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, clean

MAX_QUERY_BYTES = 4096
"""What a query may hold, in bytes (LinkedIn's page on query tunnelling)."""


@dataclass(frozen=True, slots=True)
class ProfileAssociationKey:
    """Names one CRM record.

    :param instance_id: of the CRM; for Dynamics the host of the organisation.
    :param partner: the CRM's maker; for Dynamics ``MS``.
    :param record_id: of the contact or lead.
    """

    instance_id: str
    partner: str
    record_id: str

    @classmethod
    def parse(cls, value: Mapping[str, Any] | ProfileAssociationKey) -> ProfileAssociationKey:
        """Read a key with these names, or with LinkedIn's own (``instanceId``, ``recordId``).

        :raises SalesNavigatorConfigurationError: it is no mapping, or a part is missing or empty.
        """
        if isinstance(value, ProfileAssociationKey):
            return value
        if not isinstance(value, Mapping):
            raise SalesNavigatorConfigurationError(
                "A profile association key must be a mapping with instance_id, partner and record_id, not"
                f" {type(value).__name__}."
            )
        parts = [value.get(name) or value.get(wire) for name, wire in KEY_PARTS.items()]
        if not all(isinstance(part, str) and part for part in parts):
            # No more than these: the rest of a row is about a person.
            given = dict(zip(KEY_PARTS, parts, strict=True))
            raise SalesNavigatorConfigurationError(
                f"{given!r} is not a profile association key: instance_id, partner and record_id must"
                " all be text that is not empty."
            )
        return cls(*map(str, parts))

    def to_wire(self) -> dict[str, str]:
        """The record LinkedIn expects, to be encoded."""
        return {wire: getattr(self, name) for name, wire in KEY_PARTS.items()}


KEY_PARTS = {"instance_id": "instanceId", "partner": "partner", "record_id": "recordId"}
"""The fields of a key, and what LinkedIn calls them."""


@dataclass(frozen=True, slots=True)
class ProfileAssociation:
    """The LinkedIn member a CRM record was matched with.

    :param member: URN of the person.
    :param profile: URL of the Sales Navigator profile.
    :param profile_photo: URL, only for members whose photo is public.
    """

    member: str
    profile: str
    profile_photo: str | None = None

    @classmethod
    def from_wire(cls, element: Mapping[str, Any]) -> Self:
        member, profile = element["member"], element["profile"]
        if not (isinstance(member, str) and isinstance(profile, str)):
            raise ValueError("member and profile must be text")  # noqa: TRY004 - as for all unreadable answers
        return cls(member, profile, element.get("profilePhoto"))


@dataclass(frozen=True, slots=True)
class AssociationResult:
    """What became of one key of a batch.

    :param association: None when LinkedIn has no match, or failed on this key.
    :param error: LinkedIn's words when it failed on this key alone.
    """

    key: ProfileAssociationKey
    association: ProfileAssociation | None = None
    error: str | None = None


RESULT_COLUMNS = [
    *(each.name for kind in (ProfileAssociationKey, ProfileAssociation) for each in fields(kind)),
    "error",
]


def result_row(result: AssociationResult) -> dict[str, Any]:
    """A result with all ``RESULT_COLUMNS``, null where there is nothing."""
    found = asdict(result.association) if result.association else {}
    return {**dict.fromkeys(RESULT_COLUMNS), **asdict(result.key), **found, "error": result.error}


def batches(keys: Iterable[ProfileAssociationKey]) -> Iterator[list[ProfileAssociationKey]]:
    """Cut keys into batches whose query stays within the documented 4 KB.

    :raises SalesNavigatorConfigurationError: one key alone is longer.
    """
    batch: list[ProfileAssociationKey] = []
    length = empty = len(restli.encode_query({"ids": []}))
    for key in keys:
        size = len(restli.encode(key.to_wire())) + 1
        if empty + size > MAX_QUERY_BYTES:
            raise SalesNavigatorConfigurationError(
                f"A profile association key is {size} bytes long when encoded; LinkedIn takes"
                f" {MAX_QUERY_BYTES} bytes of query at most. Leave it out."
            )
        if batch and length + size > MAX_QUERY_BYTES:
            yield batch
            batch, length = [], empty
        batch.append(key)
        length += size
    if batch:
        yield batch


def association_results(
    body: Mapping[str, Any], keys: Sequence[ProfileAssociationKey]
) -> list[AssociationResult]:
    """Match the keys of a batch's answer with those asked for, as values, whatever their spelling.

    A key in none of the answer's maps has no match; ``statuses`` may be empty even on success. But where the
    answer has keys that were not asked for, a key without an answer is an error: one of them may be meant.
    """
    maps = (body["results"], body.get("errors") or {}, body.get("statuses") or {})
    results, errors, statuses = ({_key(text): each[text] for text in each} for each in maps)
    names = _names(keys, {*results, *errors, *statuses})
    strangers = len({*results, *errors, *statuses} - set(names.values()))
    return [
        _result(key, results.get(name), errors.get(name), statuses.get(name))
        if (name := names.get(key))
        else AssociationResult(key, error=_STRANGERS.format(strangers) if strangers else None)
        for key in keys
    ]


_STRANGERS = "no answer, while LinkedIn answered for {} keys that were not asked for"


def _names(
    keys: Sequence[ProfileAssociationKey], answered: set[ProfileAssociationKey | str]
) -> dict[ProfileAssociationKey, ProfileAssociationKey]:
    """What the answer calls each key: exactly so, or else, if only one is, in other upper and lower case."""
    names = {key: key for key in keys if key in answered}
    asked, others = _by_folded(set(keys) - set(names)), _by_folded(answered - set(names))
    for folded, [key, *rivals] in asked.items():
        if len(others.get(folded, ())) == 1 and not rivals:
            [names[key]] = others[folded]
    return names


def _by_folded(
    keys: Iterable[ProfileAssociationKey | str],
) -> dict[ProfileAssociationKey, list[ProfileAssociationKey]]:
    found: dict[ProfileAssociationKey, list[ProfileAssociationKey]] = {}
    for key in keys:
        if isinstance(key, ProfileAssociationKey):
            folded = ProfileAssociationKey(*map(str.casefold, astuple(key)))
            found.setdefault(folded, []).append(key)
    return found


def _result(key: ProfileAssociationKey, found: Any, error: Any, status: Any) -> AssociationResult:
    if found is not None:
        try:
            return AssociationResult(key, ProfileAssociation.from_wire(found))
        except (KeyError, TypeError, ValueError) as cause:
            unreadable = f"an answer that cannot be read ({type(cause).__name__}: {cause})"
            return AssociationResult(key, error=unreadable)
    code = int(status) if str(status).isdecimal() else 0
    # An error may be text alone, without a status of its own.
    if code == 404 or (error is None and code < 400):
        return AssociationResult(key)
    return AssociationResult(key, error=_error_text({"status": code} if error is None else error))


def _key(text: str) -> ProfileAssociationKey | str:
    """A key of the answer; the text itself if it is none."""
    try:
        if ":" in text:
            return ProfileAssociationKey.parse(restli.decode_record(text))
        # The OpenAPI file's example has the values alone, in this order.
        return ProfileAssociationKey(*map(unquote, text.strip("()").split(",")))
    except (TypeError, ValueError):
        return text


def _error_text(error: Any) -> str | None:
    """One key's error in words; None for 404, which is no error but no match."""
    if not isinstance(error, Mapping):
        return clean(str(error))
    if error.get("status") == 404:
        return None
    return f"HTTP {error.get('status', 'unknown')}: {clean(str(error.get('message', 'no message')))}"
