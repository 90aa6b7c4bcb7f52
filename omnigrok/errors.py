"""The errors that this package raises on purpose; each message names the file, key or folder and
what is accepted.
"""

from __future__ import annotations

from omnigrok.printable import harmless


class OmnigrokError(Exception):
    """Base of every error that the package raises on purpose.

    Messages quote files that others wrote; control and invisible characters are written out.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(harmless(message))


class BadInput(OmnigrokError):
    """A YAML file, an option or a Run has a key or a value that is not accepted."""


class DataMissing(OmnigrokError):
    """A data set is not on this machine; the message names the files, the folder and the command
    that fetches them.
    """


class DataCorrupt(OmnigrokError):
    """A data file is truncated, of another version, or fails its checksum."""


class StoreError(OmnigrokError):
    """A run store cannot be opened, read or written."""


class StaleToken(StoreError):
    """A write came with a fencing token that a later lease has replaced; nothing was written."""


class OutOfMemory(OmnigrokError):
    """One network alone does not fit into the memory of the device."""


class EngineError(OmnigrokError):
    """A cluster cannot be reached, differs from this process, or a job failed there."""


class EvidenceError(OmnigrokError):
    """Recorded evidence is damaged, incomplete, or does not belong to the claim."""


class Diverged(OmnigrokError):
    """A run that a claim needs ended in NaN or infinity."""


class DataCheckFailed(OmnigrokError):
    """The curves break a bookkeeping rule (equal seeds, shifted logging grid, shared samples): no
    verdict is possible.
    """
