"""The command ``omnigrok``: look at claims, move evidence, fetch data. Audits themselves are run by
pytest.
"""

from __future__ import annotations

import click

import omnigrok
import omnigrok.waiting
from omnigrok.cli.bench import bench
from omnigrok.cli.calibrate import calibrate, power
from omnigrok.cli.claims import list_claims, show
from omnigrok.cli.compare import compare_audits
from omnigrok.cli.data import data
from omnigrok.cli.evidence import evidence
from omnigrok.cli.precision import precision
from omnigrok.cli.report import report
from omnigrok.cli.run import run
from omnigrok.cli.status import status
from omnigrok.cli.universes import universes


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(omnigrok.__version__)
def main() -> None:
    """An executable audit of the paper "Omnigrok: Grokking Beyond Algorithmic Data".

    \b
    The audit itself is a pytest run:
      pytest claims/                 smoke tier, minutes on a CPU
      pytest claims/ --tier paper    the paper's sizes, resumes where it stopped
      pytest claims/ --replay        verdicts from the recorded evidence, no training
      pytest claims/ --report r.html the same as a page with the figures redrawn

    \b
    Completion of commands and options in the shell (bash; zsh and fish likewise):
      eval "$(_OMNIGROK_COMPLETE=bash_source omnigrok)"
    """


for command in (
    list_claims,
    show,
    run,
    report,
    compare_audits,
    evidence,
    data,
    calibrate,
    power,
    bench,
    precision,
    status,
    universes,
):
    main.add_command(command)
