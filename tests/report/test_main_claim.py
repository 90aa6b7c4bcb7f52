"""The README's figure: it shows the verdicts of the audit that it was drawn from."""

from __future__ import annotations
