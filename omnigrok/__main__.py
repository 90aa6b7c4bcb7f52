"""``python -m omnigrok`` is the command ``omnigrok``."""

from omnigrok.cli import main

main()
