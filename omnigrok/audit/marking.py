"""The decorator that ties a check to a claim of the YAML file next to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Check = Callable[..., Any]


def claim(claim_id: str) -> Callable[[Check], Check]:
    """Mark ``test_*(case)`` as the check of one claim.

    The plugin parametrises it over the claim's protocols, each with its control, and looks the
    claim up in the YAML file that has the test file's name without ``test_``.
    """
    return pytest.mark.claim(claim_id)
