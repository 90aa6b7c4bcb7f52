"""``docs/options.md`` is what the classes say; ``python tests/test_options_page.py`` writes it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import omnigrok
from omnigrok.options import DataOptions, NetworkOptions, TypedOptions

PAGE = Path(__file__).parents[1] / "docs" / "options.md"
ROOMS = {"data": "Data sets", "models": "Architectures"}
HEAD = """# Options of data sets and architectures

What an experiment accepts below `data` and `network`, under the name that `task` or `model` gives.
Every other key is refused. This page is written by `python tests/test_options_page.py`.
"""
KINDS = {"data": DataOptions, "models": NetworkOptions}
ENTRY = {"data": "def split(", "models": "def build("}


def modules(room: str) -> Iterator[ModuleType]:
    for path in sorted((Path(omnigrok.__file__).parent / room).glob("*.py")):
        if path.stem != "__init__" and ENTRY[room] in path.read_text(encoding="utf-8"):
            yield import_module(f"omnigrok.{room}.{path.stem}")


MODULES = {room: list(modules(room)) for room in ROOMS}
CLASSES = [
    getattr(module, name)
    for found in MODULES.values()
    for module in found
    for name in ("Options", "FromData", "FromNetwork")
    if hasattr(module, name)
]


def arguments(docstring: str) -> dict[str, str]:
    """The entries of a docstring's ``Args``."""
    found: dict[str, str] = {}
    for line in docstring.partition("Args:\n")[2].splitlines():
        if start := re.match(r" {8}(\w+): (.*)", line):
            key, text = start.groups()
            found[key] = text
        elif line.strip():
            found[key] += f" {line.strip()}"
    return found


def described(options: type[TypedOptions]) -> dict[str, str]:
    """What each option means; a derived class need not repeat what it inherits."""
    found: dict[str, str] = {}
    for each in reversed(options.__mro__):
        if issubclass(each, TypedOptions):
            found |= arguments(each.__doc__ or "")
    return {key: found[key] for key in options.model_fields}


def shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def rows(options: type[TypedOptions]) -> Iterator[str]:
    accepted, meaning = options.accepted(), described(options)
    yield "| option | accepts | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in options.model_fields.items():
        default = "needed" if field.is_required() else shown(field.default)
        text = meaning[key].replace("``", "`")
        yield f"| `{key}` | {accepted[key]} | {default} | {text} |"


def lines() -> Iterator[str]:
    yield HEAD
    for room, title in ROOMS.items():
        yield f"## {title}\n"
        for module in MODULES[room]:
            yield f"### {module.__name__.rpartition('.')[2]}\n"
            about = (module.Options.__doc__ or "").partition("Args:")[0]
            yield " ".join(about.split()).replace("``", "`") + "\n"
            yield from rows(module.Options)
            yield ""
            for name, other in (("FromData", "data"), ("FromNetwork", "network")):
                if hasattr(module, name):
                    keys = ", ".join(
                        f"`{other}.{key}`" for key in getattr(module, name).model_fields
                    )
                    yield f"It also reads {keys}.\n"


def page() -> str:
    return "\n".join(lines()).rstrip() + "\n"


def test_the_page_is_what_the_classes_say() -> None:
    assert PAGE.read_text() == page(), "write it again: python tests/test_options_page.py"


def test_every_module_says_what_it_accepts() -> None:
    assert [len(found) for found in MODULES.values()] == [7, 7]
    for room, found in MODULES.items():
        for module in found:
            assert module.Options.__module__ == module.__name__
            assert issubclass(module.Options, KINDS[room])


@pytest.mark.parametrize("options", CLASSES, ids=lambda each: f"{each.__module__}.{each.__name__}")
def test_every_option_is_described(options: type[TypedOptions]) -> None:
    assert all(described(options).values())
    assert set(arguments(options.__doc__ or "")) <= set(options.model_fields)


def test_what_is_read_from_the_other_kind_has_the_defaults_of_its_owner() -> None:
    owners = {"lstm": "imdb", "decoder": "addition", "transformer": "modular"}
    for model, task in owners.items():
        reader = import_module(f"omnigrok.models.{model}").FromData.model_fields
        owner = import_module(f"omnigrok.data.{task}").Options.model_fields
        for key, field in reader.items():
            assert field.default in (owner[key].default, None)


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE}: {len(page().splitlines())} lines\n")
