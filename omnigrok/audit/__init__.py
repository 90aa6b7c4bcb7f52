"""Claims as parameterised checks: schema, cases, verdicts, the pytest plugin and what it prints."""

import omnigrok.waiting  # noqa: F401 (first: it is for torch to read)
from omnigrok.audit.case import Case
from omnigrok.audit.marking import claim

__all__ = ["Case", "claim"]
