"""The same hypothesis examples in every run; new ones with ``--hypothesis-profile=explore``. No deadline: machines are shared."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("fixed")
