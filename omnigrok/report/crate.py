"""A description of the recorded evidence for people and catalogues: an RO-Crate (1.3) next to the
files, with the size and the SHA-256 of each.

https://www.researchobject.org/ro-crate/
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from omnigrok.errors import BadInput
from omnigrok.evidence import EvidenceFile, read
from omnigrok.evidence.find import FOLDER
from omnigrok.evidence.layout import SUFFIX
from omnigrok.files import read_whole, write_whole
from omnigrok.suite.suite import Suite

FILE = "ro-crate-metadata.json"
LARGEST_FILE = 4_000_000
LICENSE = "https://spdx.org/licenses/MIT"
PARQUET = "application/vnd.apache.parquet"


def describe(suite: Suite) -> str:
    """The crate of a suite's evidence, as JSON.

    Raises:
        BadInput: the library rocrate is missing, or there is no evidence.
        EvidenceError: a file is damaged.
    """
    try:
        from rocrate.model.contextentity import ContextEntity  # noqa: PLC0415 (an extra)
        from rocrate.rocrate import ROCrate  # noqa: PLC0415
    except ImportError as error:
        raise BadInput('a description needs rocrate: pip install "omnigrok[crate]"') from error
    paths = sorted((suite.folder / FOLDER).glob("*" + SUFFIX))
    if not paths:
        raise BadInput(f"{suite.folder / FOLDER}: holds no evidence")
    crate, about = ROCrate(), suite.about
    crate.name = f"Recorded curves of an audit of {about.title}"
    crate.description = (
        "Training curves of the runs that the claims of the audit are judged by, one file an "
        "experiment and protocol; omnigrok report --replay derives the verdicts again."
    )
    crate.license = LICENSE
    files = [read(path) for path in paths]
    # The newest record, so that the same evidence has the same description.
    crate.datePublished = max(str(file.meta["date"]) for file in files)
    if about.link:
        paper = ContextEntity(
            crate,
            about.link,
            {
                "@type": "ScholarlyArticle",
                "name": about.title,
                "author": list(about.authors),
                "isPartOf": about.venue,
            },
        )
        crate.root_dataset["about"] = crate.add(paper)
    for path, file in zip(paths, files, strict=True):
        crate.add_file(path, dest_path=path.name, properties=_properties(path, file))
    return json.dumps(crate.metadata.generate(), indent=1) + "\n"


def _properties(path: Path, file: EvidenceFile) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "name": f"{file.meta.get('experiment', path.stem)}, {file.meta.get('protocol', '')}",
        "description": f"curves of {len(file)} training runs",
        "encodingFormat": PARQUET,
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
        "dateCreated": str(file.meta["date"]),
    }


def write_description(suite: Suite) -> Path:
    """Write the crate next to the evidence, whole or not at all.

    Raises:
        BadInput, EvidenceError: as ``describe``.
    """
    path = suite.folder / FOLDER / FILE
    write_whole(path, describe(suite))
    return path


def differences(folder: Path) -> list[str]:
    """What the crate in a folder of evidence does not say as it is, in words; [] if it is current.
    Needs no library.

    Raises:
        BadInput: there is no crate, or it cannot be read.
    """
    path = folder / FILE
    try:
        graph = json.loads(read_whole(path, LARGEST_FILE))["@graph"]
        listed = {each["@id"]: each.get("sha256") for each in graph if each["@type"] == "File"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    there = {
        each.name: hashlib.sha256(each.read_bytes()).hexdigest()
        for each in folder.glob("*" + SUFFIX)
    }
    return [
        *(f"{name} is not listed" for name in sorted(there.keys() - listed.keys())),
        *(f"{name} is listed, and not there" for name in sorted(listed.keys() - there.keys())),
        *(
            f"{name} has another SHA-256"
            for name in sorted(there.keys() & listed.keys())
            if there[name] != listed[name]
        ),
    ]
