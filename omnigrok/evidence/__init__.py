"""Recorded curves as files: found, written, read, verified by training again."""

from omnigrok.evidence.parquet import SUFFIX, EvidenceFile, Result, equal, read, write

__all__ = ["SUFFIX", "EvidenceFile", "Result", "equal", "read", "write"]
