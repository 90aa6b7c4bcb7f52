"""Recorded curves as files: found, written, read, verified by training again."""

from omnigrok.evidence.layout import SUFFIX, Result, equal
from omnigrok.evidence.reading import EvidenceFile, read
from omnigrok.evidence.writing import write

__all__ = ["SUFFIX", "EvidenceFile", "Result", "equal", "read", "write"]
