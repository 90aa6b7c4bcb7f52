"""The wheel, used where there is no clone: the paper's audit is in it, and an audit of another
paper has its own title, figure and headline family.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="building the wheel needs hatchling: pip install hatchling")

ROOT = Path(__file__).parents[1]
# Words that only the audited paper of this repository would bring into a stranger's audit.
OURS = re.compile(r"grok(k|s)|Tegmark|teacher|MNIST|fig0\d|weight norm", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents, as pip would lay them out."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def start(site: Path, where: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_papers_audit_is_in_the_wheel(site: Path, tmp_path: Path) -> None:
    folder = site / "omnigrok" / "paper" / "claims"
    for path in (ROOT / "claims").rglob("*"):
        if path.suffix in (".yaml", ".parquet", ".py"):
            copy = folder / path.relative_to(ROOT / "claims")
            assert copy.read_bytes() == path.read_bytes()
    assert (site / "omnigrok" / "py.typed").is_file()
    listed = start(site, tmp_path, "omnigrok", "list")
    assert listed.returncode == 0, listed.stderr
    assert "fig02.inverse" in listed.stdout
    shown = start(site, tmp_path, "omnigrok", "show", "fig02.inverse")
    assert f"store: none at {tmp_path / '.omnigrok'}" in shown.stdout
    assert "all 80 runs recorded" in shown.stdout


def test_an_audit_of_another_paper_from_the_wheel(site: Path, tmp_path: Path) -> None:
    made = start(site, tmp_path, "omnigrok", "init", "own")
    assert made.returncode == 0, made.stderr
    own = tmp_path / "own"
    assert sum(path.is_file() for path in own.rglob("*")) == 5
    figure = own / "claims" / "sums.yaml"
    figure.write_text(figure.read_text().replace("count: 5", "count: 3"))
    judged = start(
        site,
        own,
        *("pytest", "claims", "--audit-tier", "paper", "--audit-json", "a.json"),
        *("--audit-report", "r.html", "-p", "no:cacheprovider"),
    )
    (row,) = json.loads((own / "a.json").read_text())["claims"]
    # Three seeds reach p = .125: the family's correction, of this one claim, does not let it pass.
    assert (row["p"], row["holm_p"]) == (0.125, 0.125)
    assert row["verdict"] == "INCONCLUSIVE"
    page = " ".join((own / "r.html").read_text().split())
    assert "Audit of Linear Networks Learn Sums" in page
    assert "audit of Linear Networks Learn Sums" in judged.stdout
    assert "Figure sums.line" in page
    assert page.count("<svg") > 0
    for text in (judged.stdout, (own / "a.json").read_text(), page):
        assert OURS.findall(text) == []
