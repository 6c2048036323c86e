"""The public API as text: what a DAG, a test, a stored XCom or a trigger row may rely on.

``test_public_api_snapshot.py`` compares it with ``public_api.txt``.
"""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
import json
from collections.abc import Iterable, Iterator
from enum import Enum
from importlib.metadata import entry_points
from itertools import takewhile
from typing import Any

from public_api_stored import stored_values

from airflow_provider_snav.cli.commands import COMMANDS
from airflow_provider_snav.landing.plan import LandedFile

PACKAGE = "airflow_provider_snav"
# Modules whose public classes and functions are public; in the order of the file.
MODULES = (
    "hooks.sales_navigator",
    "operators.sales_navigator",
    "sensors.sales_navigator",
    "triggers.sales_navigator",
    "transfers.sales_navigator_to_object_storage",
    "api.errors",
    "api.models",
    "exports.export",
    "exports.kinds",
    "api.schemas",
    "api.coverage",
    "api.associations",
    "api.oauth",
    "sandbox.server",
    "sandbox.settings",
    "sandbox.faults",
    "sandbox.pytest_plugin",
)
INTERNAL = {"FaultQueue"}
# What Airflow reads from a class, beside methods and arguments.
CLASS_ATTRIBUTES = (
    "conn_name_attr",
    "conn_type",
    "default_conn_name",
    "hook_name",
    "retryable",
    "template_fields",
)
KINDS = {
    inspect.Parameter.KEYWORD_ONLY: "keyword ",
    inspect.Parameter.VAR_KEYWORD: "**",
    inspect.Parameter.VAR_POSITIONAL: "*",
}


def public_api() -> str:
    """All of it."""
    lines = ["Entry points", *_entry_points()]
    for name in MODULES:
        lines += ["", "", f"{PACKAGE}.{name}", *_module(importlib.import_module(f"{PACKAGE}.{name}"))]
    lines += ["", "", "One entry of what the transfer returns", *_parameters_of(LandedFile, "    ")]
    lines += ["", "", "Commands", *_commands()]
    info = importlib.import_module(f"{PACKAGE}.get_provider_info").get_provider_info()
    stored = stored_values(dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC))
    for title, value in {"What Airflow stores": stored, "Provider info": info}.items():
        lines += ["", "", title, *json.dumps(value, indent=2).splitlines()]
    return "\n".join(lines) + "\n"


def _entry_points() -> Iterator[str]:
    for group in ("apache_airflow_provider", "pytest11"):
        for entry in entry_points(group=group):
            if entry.value.startswith(PACKAGE):
                yield f"    [{group}] {entry.name} = {entry.value}"


def _commands() -> Iterator[str]:
    for command in COMMANDS:
        yield f"    {command.name} {' '.join('/'.join(option.flags) for option in command.options)}"


def _module(module: Any) -> Iterator[str]:
    for name, value in vars(module).items():
        if name.startswith("_") or name in INTERNAL or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield ""
            yield from _class(name, value)
        elif fixture := getattr(value, "_fixture_function", None):
            yield ""
            yield from _function(f"pytest fixture {name}", fixture)
        elif inspect.isfunction(value) and ".sandbox." in module.__name__:
            yield ""
            yield from _function(name, value)


def _class(name: str, klass: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in klass.__bases__ if base is not object)
    yield f"class {name}({bases})"
    own = list(takewhile(lambda each: each is klass or not _is_public(each), klass.__mro__))
    own = [each for each in own if each.__module__.startswith(PACKAGE)]
    for attribute in CLASS_ATTRIBUTES:
        if any(attribute in vars(each) for each in own):
            yield f"    {attribute} = {getattr(klass, attribute)!r}"
    if issubclass(klass, Enum):
        yield from (f"    {member.name} = {member.value!r}" for member in klass)
    elif "__dataclass_fields__" in vars(klass):
        yield from _parameters_of(klass, "    ")
    else:
        yield from _init(own)
        members: dict[str, Any] = {}
        for each in reversed(own):
            members |= {key: value for key, value in vars(each).items() if not key.startswith("_")}
        for key, member in members.items():
            yield from _member(key, member)


def _is_public(klass: type) -> bool:
    """Bases of ours that are not public themselves are shown as if they were written in the class."""
    public = (f"{PACKAGE}.{name}" for name in MODULES)
    return klass.__module__ in public and not klass.__name__.startswith("_")


def _init(own: Iterable[type]) -> Iterator[str]:
    """What a class takes, with what it hands on to its bases."""
    merged: dict[str, inspect.Parameter] = {}
    for each in own:
        if "__init__" in vars(each):
            given = inspect.signature(vars(each)["__init__"]).parameters
            merged |= {name: value for name, value in given.items() if name not in merged}
    if merged:
        yield "    __init__"
        yield from _parameters(merged.values(), "        ")


def _member(name: str, member: Any) -> Iterator[str]:
    if isinstance(member, property) or type(member).__name__ == "cached_property":
        getter = member.fget if isinstance(member, property) else member.func
        yield f"    property {name}: {_text(inspect.signature(getter).return_annotation)}"
    elif isinstance(member, staticmethod | classmethod):
        yield from _function(f"{type(member).__name__} {name}", member.__func__, indent="    ")
    elif inspect.isfunction(member):
        yield from _function(name, member, indent="    ")


def _function(name: str, function: Any, indent: str = "") -> Iterator[str]:
    signature = inspect.signature(function)
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    yield f"{indent}{prefix}{name} -> {_text(signature.return_annotation)}"
    yield from _parameters(signature.parameters.values(), indent + "    ")


def _parameters_of(klass: type, indent: str) -> Iterator[str]:
    yield from _parameters(inspect.signature(klass).parameters.values(), indent)


def _parameters(parameters: Iterable[inspect.Parameter], indent: str) -> Iterator[str]:
    for parameter in sorted(parameters, key=lambda each: each.kind):
        if parameter.name in ("self", "cls"):
            continue
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        kind = KINDS.get(parameter.kind, "")
        yield f"{indent}{kind}{parameter.name}: {_text(parameter.annotation)}{default}"


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
