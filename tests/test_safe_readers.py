"""No reader of the package can run what a file says: no pickle, no torch.load, no arrays of
objects, no unsafe YAML, no eval.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "omnigrok"
MODULES = (
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "xml",
    "code",
    "runpy",
)
CALLS = (
    "torch.load",
    "torch.jit.load",
    "torch.hub.load",
    "pd.read_pickle",
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
)


def dangers(source: str) -> Iterator[str]:
    """What in a module could run foreign data, with its line."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
            yield from (
                f"{line}: import {name}" for name in names if name.partition(".")[0] in MODULES
            )
        if isinstance(node, ast.Call):
            name, keywords = (
                ast.unparse(node.func),
                {each.arg: ast.unparse(each.value) for each in node.keywords},
            )
            if name in CALLS:
                yield f"{line}: {name}"
            if name in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
                yield f"{line}: np.load that may unpickle"
            if name in ("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"):
                yield f"{line}: {name}"
            if name.endswith((".extractall", ".extract")):
                yield f"{line}: {name} writes members of an archive to disk"
            if keywords.get("shell") == "True":
                yield f"{line}: a shell"
        if isinstance(node, ast.ClassDef):
            loaders = [ast.unparse(base) for base in node.bases]
            yield from (
                f"{line}: {base}"
                for base in loaders
                if base.endswith("Loader") and base != "yaml.SafeLoader"
            )


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_no_reader_runs_what_it_reads(path: Path) -> None:
    assert list(dangers(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import xml.etree.ElementTree",
        "torch.load(path)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "class Mine(yaml.Loader): pass",
        "archive.extractall(folder)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_what_is_looked_for_is_found(source: str) -> None:
    assert list(dangers(source))


@pytest.mark.parametrize(
    "source",
    [
        "import json",
        "np.load(path, allow_pickle=False)",
        "class Mine(yaml.SafeLoader): pass",
        "re.compile('x')",
    ],
)
def test_what_is_safe_is_not(source: str) -> None:
    assert list(dangers(source)) == []
