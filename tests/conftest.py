"""The same hypothesis examples in every run; new ones with ``--hypothesis-profile=explore``."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A loaded machine makes examples slowly; that is no fault of the code under test.
SLOW = [HealthCheck.too_slow]
settings.register_profile("fixed", derandomize=True, suppress_health_check=SLOW)
settings.register_profile("explore", derandomize=False, suppress_health_check=SLOW)
settings.load_profile("fixed")
