"""Without a GPU everything that bears the mark is skipped with one reason, and counted; the mark is
on every test of this folder.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
REASON = "needs a CUDA device: run on a machine with one"
BODY = """
import pytest

@pytest.mark.gpu
@pytest.mark.parametrize("which", [1, 2])
def test_of_a_gpu(which):
    raise AssertionError("ran")

def test_of_a_cpu():
    pass

def test_skipped_for_another_reason():
    pytest.skip("another")
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_without_a_gpu_they_are_skipped_with_one_reason_and_counted(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pytester.makeini(f"[pytest]\npythonpath = {TESTS / 'claims'}\nmarkers =\n    gpu: needs CUDA\n")
    pytester.makeconftest((TESTS / "conftest.py").read_text())
    pytester.makepyfile(BODY)
    result = pytester.runpytest_subprocess("-rs", "-n", workers, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines([f"GPU: 2 skipped, {REASON}", f"SKIPPED [[]2[]] *{REASON}"])


def test_every_file_of_this_folder_bears_the_mark() -> None:
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    assert len(files) > 3
    for file in files:
        assert ("pytestmark = pytest.mark.gpu\n" in file.read_text()) == (
            file.name != Path(__file__).name
        ), file.name
