"""One verdict where a claim was judged several times: by pytest-rerunfailures, pytest-repeat, or
``--dist each``.
"""

from __future__ import annotations

from omnigrok.audit.document import ItemRow


def combined(earlier: ItemRow, later: ItemRow) -> ItemRow:
    """The outcome of two judgements of one claim, or of one control, under one protocol.

    A check is a function of its curves: two verdicts that differ are an ERROR, so that no
    repetition makes a verdict better. An ERROR stays one; what was judged only once counts.
    """
    verdicts = (earlier.verdict, later.verdict)
    if verdicts[0] == verdicts[1] or verdicts[0] == "NOT RUN":
        return later
    if verdicts[1] == "NOT RUN" or verdicts[0] == "ERROR":
        return earlier
    if verdicts[1] == "ERROR":
        return later
    reason = (
        f"judged twice, {verdicts[0]} and {verdicts[1]}: a check has to come to the same verdict "
        "each time"
    )
    return later.model_copy(update={"verdict": "ERROR", "reason": reason})
