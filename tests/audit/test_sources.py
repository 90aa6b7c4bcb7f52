"""What a verdict depends on besides curves: files, packages and libraries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from omnigrok.audit.sources import Sources, _package, libraries, of_claims, of_files, of_imports
from omnigrok.suite.suite import Suite, load_suite


@pytest.fixture
def suite(toy: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    toy.add("good", experiments="[tiny]")
    toy.write()
    monkeypatch.syspath_prepend(str(toy.pytester.path))
    _package.cache_clear()
    yield load_suite(toy.folder)
    _package.cache_clear()


def imports(suite: Suite, line: str) -> dict[str, Sources | str]:
    (suite.folder / "helper.py").write_text(f"{line}\n")
    return of_imports(suite)


def test_an_installed_package_is_known_by_its_version(suite: Suite) -> None:
    assert imports(suite, "import numpy as np")["numpy"] == np.__version__
    assert imports(suite, "from numpy.linalg import norm")["numpy"] == np.__version__
    assert imports(suite, "import no_such_package_at_all")["no_such_package_at_all"] == "missing"
    assert "no_such_package_at_all" not in imports(suite, "import json, omnigrok")
    assert {"json", "omnigrok"}.isdisjoint(imports(suite, "import json, omnigrok"))


def test_a_module_that_nothing_was_loaded_from_is_unknown(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``__main__`` may be."""
    monkeypatch.setitem(sys.modules, "made_of_nothing", ModuleType("made_of_nothing"))
    assert imports(suite, "import made_of_nothing")["made_of_nothing"] == "unknown"


def test_a_package_beside_the_claims_is_known_by_its_files(suite: Suite) -> None:
    beside = suite.folder.parent / "beside_of_toy"
    beside.mkdir()
    (beside / "__init__.py").write_text("__version__ = '1'\n")
    (suite.folder.parent / "single_of_toy.py").write_text("X = 1\n")
    line = "import beside_of_toy, single_of_toy"
    before = imports(suite, line)
    assert isinstance(before["beside_of_toy"], Sources)
    assert isinstance(before["single_of_toy"], Sources)
    (beside / "more.py").write_text("X = 1\n")
    _package.cache_clear()
    after = imports(suite, line)
    assert after["beside_of_toy"] != before["beside_of_toy"]
    assert after["single_of_toy"] == before["single_of_toy"]


def test_files_are_known_by_name_and_content(tmp_path: Path) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("X = 1\n")
    two.write_text("Y = 1\n")
    both = of_files(tmp_path, [two, one])
    assert both.digest == of_files(tmp_path, [one, two]).digest
    assert len(both.digest) == 32
    assert both.changed == max(path.stat().st_mtime for path in (one, two))
    assert of_files(tmp_path, [one]).digest != both.digest
    two.rename(tmp_path / "c.py")
    assert of_files(tmp_path, [one, tmp_path / "c.py"]).digest != both.digest
    assert of_files(tmp_path, []).changed == 0.0


def test_claims_are_their_yaml_and_all_python_below(suite: Suite) -> None:
    before = of_claims(suite).digest
    (suite.folder / "notes.txt").write_text("no part")
    assert of_claims(suite).digest == before
    (suite.folder / "inner").mkdir()
    (suite.folder / "inner" / "helper.py").write_text("X = 1\n")
    assert of_claims(suite).digest != before


def test_libraries_are_those_that_compute() -> None:
    found = libraries()
    assert found["numpy"] == np.__version__
    assert set(found) == {"python", "machine", "numpy", "scipy", "torch", "pyarrow"}
