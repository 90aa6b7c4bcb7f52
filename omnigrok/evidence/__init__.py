"""Evidence files: recorded curves that verdicts are derived from again."""
