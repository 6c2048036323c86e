"""Keys that hold every character Rest.li, URLs, CSV or JSON could trip over."""

from __future__ import annotations

from itertools import cycle, islice

from airflow_provider_snav.api.associations import ProfileAssociationKey

AWKWARD = [
    *"(),:'\"%&+/?#=;@!$*[]{}|\\^`<>~._- ",
    "''", "()", "List(a,b)", "(instanceId:a,partner:b,recordId:c)", "%28", "%2528", "%", "%%", "%zz",
    "a+b", "a%20b", "..", ".", "../x", "//", "?x=1&ids=List()", "#fragment", "é", "e\u0301", "漢字", "😀",
    "\u00a0", "\u200b", "\u2028", "Ω≈ç√", "ß", "İ", "\u202e", "ﬁ", "null", "None", "true", "0", "-1",
    "tab\there", "line\nbreak", "carriage\rreturn", "both\r\n", "\x00", "\x7f", "\ufeff", "\uffff",
]  # fmt: skip


def awkward_keys(count: int) -> list[ProfileAssociationKey]:
    """Different keys, an awkward character in each part of each; no two are the same."""
    parts = list(islice(cycle(AWKWARD), count + 2))
    return [
        ProfileAssociationKey(f"org{first}.example", f"M{second}S", f"{number}-{third}")
        for number, (first, second, third) in enumerate(zip(parts, parts[1:], parts[2:], strict=False))
    ]
