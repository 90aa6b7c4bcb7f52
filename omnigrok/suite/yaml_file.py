"""YAML from a file that somebody else may have written: safe, bounded, and each key once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import yaml

from omnigrok.errors import BadInput
from omnigrok.files import read_whole
from omnigrok.printable import is_harmless

LARGEST_FILE = 300_000
# What a file holds once every alias is written out: a page of aliases of aliases would otherwise
# fill the memory.
LARGEST_CONTENT = 200_000


class _Plain(yaml.SafeLoader):
    """Safe YAML without bytes, sets and numbers to base 60 (1:30 for 90). A key that is given twice
    is an error, not a silent override.
    """

    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] not in ("binary", "set", "omap", "pairs")
    }

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and not is_harmless(value):
            raise yaml.constructor.ConstructorError(
                None, None, "text has control or invisible characters", node.start_mark
            )
        number = node.tag.rpartition(":")[2] in ("int", "float")
        if number and ":" in value:
            raise yaml.constructor.ConstructorError(
                None, None, f"{value[:20]} is not a number; quote it if it is text", node.start_mark
            )
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> Any:
    """The content of a YAML file: mappings, lists, strings, numbers, dates; no object of any other
    kind.

    Raises:
        BadInput: the file cannot be read, is larger than ``LARGEST_FILE`` bytes or, with its
            aliases written out, than ``LARGEST_CONTENT`` values, is not YAML, has a key twice, or
            refers to itself.
    """
    try:
        text = read_whole(path, LARGEST_FILE).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    try:
        loader = _Plain(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _count(node, {}) > LARGEST_CONTENT:
            raise BadInput(
                f"{path}: holds more than {LARGEST_CONTENT} values once its aliases are written out"
            )
        return loader.construct_document(node)
    except RecursionError as error:
        raise BadInput(f"{path}: nested too deeply") from error
    except (
        yaml.YAMLError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        # A tag that its value does not fit, such as !!timestamp on a word, ends in any of these
        # inside the library.
        raise BadInput(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def _count(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """Values below a node, those behind an alias as often as it stands."""
    if node in known:
        if known[node] == 0:
            raise ValueError("an alias is part of what it refers to")
        return known[node]
    known[node] = 0  # being counted
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [each for pair in node.value for each in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    known[node] = 1 + sum(_count(child, known) for child in children)
    return known[node]
