"""What MkDocs adds to the pages in docs/: the README as the first page, tables that stand next to
the code, and a page for each claim.

The verdicts come from the audit that OMNIGROK_SITE_AUDIT names (JSON); without it, the recorded
evidence is judged first.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from omnigrok.audit.document import load_audit
from omnigrok.report.claim_pages import claim_pages
from omnigrok.report.replaying import replay
from omnigrok.suite.suite import load_suite

ROOT = Path(__file__).parents[1]
# Files outside docs/ and their names on the site.
COPIED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CITATION.cff": "CITATION.cff",
    "omnigrok/paper/trials/TABLE.md": "calibration.md",
    "omnigrok/paper/simulations/CLAIMS.md": "calibration-claims.md",
    "omnigrok/bench/PRECISION.md": "precision.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for source, name in COPIED.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=content))
    named = os.environ.get("OMNIGROK_SITE_AUDIT")
    folder = ROOT / "claims"
    audit = load_audit(Path(named)) if named else replay(folder)
    for name, content in claim_pages(audit, load_suite(folder)).items():
        files.append(File.generated(config, f"claims/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they are in the repository, turned into those of the site."""
    for source, name in COPIED.items():
        link = rf"\]\((?:\.\./)?{re.escape(source)}(#[^)]*)?\)"
        markdown = re.sub(link, rf"]({name}\1)", markdown)
    return markdown.replace("](docs/", "](")
