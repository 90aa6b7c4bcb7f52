"""The README's figure: it shows the verdicts of the audit that it was drawn from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from omnigrok.errors import BadInput
from omnigrok.paper.main_claim import main, main_claim

from .conftest import CLAIMS, SUITE, document, finding, row

