"""Typed options: what a data set accepts in ``Run.data`` and an architecture in ``Run.network``.

A module says it in a class ``Options``, derived from ``DataOptions`` or ``NetworkOptions``: one
field an option, with its type, bounds and default. A module that needs an option of the other kind
declares it in a second class with ``extra="ignore"``, which leaves what else is there to its owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omnigrok.errors import BadInput
from omnigrok.run import Options as Frozen
from omnigrok.run import Run
from omnigrok.spelling import did_you_mean

LONGEST = 200  # characters of a value in a message

Size = Annotated[int, Field(ge=1)]


class TypedOptions(BaseModel):
    """Options of one module, frozen; types are strict: true is not 1, and 1.0 is not 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    FIELD: ClassVar[Literal["data", "network"]]

    @classmethod
    def of(cls, run: Run) -> Self:
        """The options of a Run; equal options give the same object.

        Raises:
            BadInput: a key is unknown or missing, or a value is not accepted; the message names the
                module, the key, the value and what is accepted.
        """
        given: Frozen = getattr(run, cls.FIELD)
        # The text keeps 1, 1.0 and true apart, which are equal in Python.
        found = _validated(cls, given, repr(given))
        assert isinstance(found, cls)
        return found

    @classmethod
    def owner(cls) -> str:
        """The module as a Run names it."""
        package, _, name = cls.__module__.rpartition(".")
        return name if package in ("omnigrok.data", "omnigrok.models") else cls.__module__

    @classmethod
    def accepted(cls) -> dict[str, str]:
        """What each option accepts, in words."""
        properties = cls.model_json_schema()["properties"]
        return {key: _words(schema) for key, schema in properties.items()}


class DataOptions(TypedOptions):
    """Options in ``Run.data``."""

    FIELD = "data"


class NetworkOptions(TypedOptions):
    """Options in ``Run.network``."""

    FIELD = "network"


@lru_cache(maxsize=1024)
def _validated(cls: type[TypedOptions], given: Frozen, text: str) -> TypedOptions:
    options = dict(given)
    try:
        return cls.model_validate(options)
    except ValidationError as error:
        raise BadInput(_message(cls, options, error)) from None


def _message(cls: type[TypedOptions], given: Mapping[str, Any], error: ValidationError) -> str:
    # A misspelt key that is required also shows as a missing one.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    own_words = first.get("ctx", {}).get("error")
    if not first["loc"]:
        return f"{cls.owner()}: {cls.FIELD}: {own_words or first['msg']}"
    key = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        known = tuple(cls.model_fields)
        return (
            f"{cls.owner()}: unknown option {_short(key)} in {cls.FIELD}"
            f"{did_you_mean(key[:LONGEST], known)}; accepted: {', '.join(known) or 'no option'}"
        )
    accepted = own_words or cls.accepted()[key]
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return f"{cls.owner()}: {cls.FIELD} needs {key}; {accepted}"
    return f"{cls.owner()}: {cls.FIELD}.{key} = {_short(given[key])} is not accepted; {accepted}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _words(schema: Mapping[str, Any]) -> str:
    """What a JSON schema accepts."""
    if "anyOf" in schema:
        return ", or ".join(_words(each) for each in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return str(schema["const"]).lower()
    kind = schema.get("type")
    if kind == "array":
        return _list_words(schema)
    simple = {"boolean": "true or false", "string": "a text", "null": "null"}
    if kind in simple:
        return simple[kind]
    if kind in ("integer", "number"):
        name = "a whole number" if kind == "integer" else "a number"
        return name + _bounds(schema)
    return "see the module's documentation"


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    words = {
        "minimum": "of {} or more",
        "maximum": "of {} or less",
        "exclusiveMinimum": "above {}",
        "exclusiveMaximum": "below {}",
    }
    found = [form.format(schema[key]) for key, form in words.items() if key in schema]
    return f" {' and '.join(found)}" if found else ""


def _list_words(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    item = schema.get("items") or schema.get("prefixItems", [{}])[0]
    count = f"{least} values" if least == most else f"{least} or more values" if least else "values"
    return f"a list of {count}, each {_words(item)}"
