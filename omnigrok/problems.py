"""What pydantic refused, for a message of one line."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails


def first_problem(error: ValidationError, *telling: str) -> tuple[str, ErrorDetails]:
    """Where the first problem is ("claims.0.id"; "" for the whole), and the problem.

    Args:
        telling: types of problems that come before others. A misspelt key also shows as a missing
            one: "extra_forbidden" names the cause.
    """
    found = min(error.errors(), key=lambda each: each["type"] not in telling)
    return place(found["loc"]), found


def place(loc: Iterable[int | str]) -> str:
    """A place in a file, without the validators that pydantic counts as parts of it."""
    return ".".join(part for part in map(str, loc) if not part.startswith("function-"))


def message(problem: ErrorDetails) -> str:
    """What is wrong, without pydantic's "Value error"."""
    return problem["msg"].removeprefix("Value error, ")
