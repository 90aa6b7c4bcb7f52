"""The same hypothesis examples in every run; new ones with ``--hypothesis-profile=explore``."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fixed", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("fixed")
