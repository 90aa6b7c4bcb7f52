"""What a Run's numbers mean to the trainer, as a number.

Raise it when the same Run gives other numbers beyond rounding, add a line that says what changed,
and write the table of trajectories again (``tests/training/trajectories``). Data sets and
architectures have a ``VERSION`` each, for the same reason. Work that leaves the numbers as they
are, however it rearranges the arithmetic, is no new version.
"""

# 1: AdamW as in torch.optim, held norms of Section 2, geometric log, batches drawn by numpy's
# Philox generator.
VERSION = 1
