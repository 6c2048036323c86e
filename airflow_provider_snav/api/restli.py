"""Encodes and decodes Rest.li 2.0.0.

Document: https://linkedin.github.io/rest.li/spec/protocol
Structure (``( ) , :`` and ``List``) is never encoded. Every value is percent-encoded once and completely. A
URN that is a single value is encoded completely, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import quote, unquote

PROTOCOL_VERSION = "2.0.0"

# The types of a URL parameter: a value, a record of values, or a list of either.
Value: TypeAlias = "str | int | bool | Mapping[str, Value] | Sequence[Value]"


def encode(value: Value) -> str:
    """Encode one value for a URL path segment or a query parameter.

    :param value: text, a number, a mapping or a sequence, nested to any depth.
    :returns: Rest.li 2.0 text. Nothing may encode it again.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return quote(value, safe="") or "''"
        case Mapping():
            return "(" + ",".join(f"{encode(key)}:{encode(item)}" for key, item in value.items()) + ")"
        case _:
            return "List(" + ",".join(map(encode, value)) + ")"


def encode_query(parameters: Mapping[str, Value]) -> str:
    """Encode query parameters, in the order given.

    :returns: ``a=...&b=...`` without the question mark; empty for no parameters.
    """
    return "&".join(f"{quote(name, safe='')}={encode(value)}" for name, value in parameters.items())


def decode_record(text: str) -> dict[str, str]:
    """Decode a flat record such as ``(instanceId:foo,partner:bar)``, in any field order.

    The keys of a batch answer are "reduced-encoded": only reserved characters are escaped. They decode in the
    same way as fully encoded text.

    :raises ValueError: the text is not a flat record.
    """
    if not (text.startswith("(") and text.endswith(")")):
        raise ValueError(f"not a Rest.li record: {text!r}")
    fields: dict[str, str] = {}
    for field in text[1:-1].split(",") if text != "()" else ():
        name, colon, value = field.partition(":")
        if not colon or any(reserved in name + value for reserved in "():") or _decode(name) in fields:
            raise ValueError(f"not a flat Rest.li record: {text!r}")
        fields[_decode(name)] = _decode(value)
    return fields


def _decode(text: str) -> str:
    return "" if text == "''" else unquote(text)
