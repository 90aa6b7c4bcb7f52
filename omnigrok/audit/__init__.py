"""Claims as parameterised checks: schema, cases, verdicts, the pytest plugin and what it prints."""

from omnigrok.audit.case import Case
from omnigrok.audit.marking import claim

__all__ = ["Case", "claim"]
