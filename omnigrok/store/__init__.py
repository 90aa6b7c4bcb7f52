"""The run store: recorded curves, checkpoints and leases in one SQLite file."""
