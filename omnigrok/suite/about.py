"""``audit.yaml``: what an audit is of, and what its claims folder may ask of the harness."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from omnigrok.errors import BadInput
from omnigrok.problems import first_problem
from omnigrok.suite.schema import PROTOCOL_NAME, Strict
from omnigrok.suite.yaml_file import load_yaml

FILE = "audit.yaml"
# "package.module" or "package.module:NAME".
Hook = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?$")]
Words = Annotated[str, Field(min_length=1, max_length=300)]


class ProtocolEntry(Strict):
    """One reading of the paper's settings.

    Args:
        about: in words that fit "settings ...".
        as_published: the runs have the steps of published code. What they read is judged as it
            ended, whether or not it has settled.
    """

    about: Words
    as_published: bool = False


class About(Strict):
    """The keys of ``audit.yaml``.

    Args:
        schema_version: of this file.
        title: of the paper.
        authors, venue, link: of the paper.
        protocols: by name, in the order of tables; the first is the default.
        modules: top-level packages that the figure files may take tasks and models from, apart
            from this one; any if the key is missing.
        panels: ``module:NAME`` of the panels that the page redraws.
        simulations: ``module:NAME`` of the simulated data of each claim, for its error rates.
        trials: ``module:NAME`` of the detectors' trials, at the scatter of this suite's curves.
    """

    schema_version: Literal[1] = 1
    title: Words
    authors: tuple[Words, ...] = ()
    venue: str = ""
    link: Annotated[str, Field(pattern=r"^(https?://[^\s<>\"]{1,300})?$")] = ""
    protocols: Annotated[dict[str, ProtocolEntry], Field(min_length=1)]
    modules: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], ...] | None = None
    panels: Hook | None = None
    simulations: Hook | None = None
    trials: Hook | None = None

    @field_validator("protocols")
    @classmethod
    def _names(cls, value: dict[str, ProtocolEntry]) -> dict[str, ProtocolEntry]:
        for name in value:
            if not re.fullmatch(PROTOCOL_NAME, name) or name == "all":
                raise ValueError(
                    f"protocol {name!r}: give a name of lower-case letters, digits and _, not all"
                )
        return value


def _defaults(folder: Path) -> dict[str, Any]:
    return {
        "title": folder.resolve().name or "claims",
        "protocols": {
            "paper": {"about": "as the paper's text describes them"},
            "code": {"about": "as the published code has them", "as_published": True},
        },
    }


def load_about(folder: Path) -> About:
    """What ``audit.yaml`` of a claims folder says.

    Without the file, the title is the folder's name and the protocols are paper and code.

    Raises:
        BadInput: the file cannot be read, or a key or value is not accepted.
    """
    path = folder / FILE
    raw = load_yaml(path) if path.exists() else _defaults(folder)
    if not isinstance(raw, dict):
        raise BadInput(f"{path}: must be a mapping with the keys {', '.join(About.model_fields)}")
    try:
        return About.model_validate(raw)
    except ValidationError as error:
        where, first = first_problem(error, "extra_forbidden")
        model = ProtocolEntry if len(first["loc"]) > 1 and first["loc"][0] == "protocols" else About
        accepted = (
            f"; accepted keys: {', '.join(model.model_fields)}"
            if first["type"] == "extra_forbidden"
            else ""
        )
        raise BadInput(f"{path}: {where or '(top level)'}: {first['msg']}{accepted}") from None
