"""Where stacks run: an engine takes jobs, and reports how far they are. It records nothing; the
process that asks does.
"""

from omnigrok.execution.engines.engine import Engine, Failure, Job, Report
from omnigrok.execution.engines.local import LocalEngine

__all__ = ["Engine", "Failure", "Job", "LocalEngine", "Report"]
