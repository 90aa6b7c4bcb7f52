"""A claims folder: figure files, their experiments as Runs, digests of criteria."""
