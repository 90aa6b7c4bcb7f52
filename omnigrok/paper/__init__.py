"""All that knows the Omnigrok paper: its claims, its panels and its reduced landscapes."""

from pathlib import Path

_HERE = Path(__file__).parent
# The claims folder: in a wheel within this package, in a clone at the top.
CLAIMS = _HERE / "claims" if (_HERE / "claims").is_dir() else _HERE.parents[1] / "claims"
