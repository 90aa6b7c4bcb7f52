"""Draw docs/rooms.svg: the layers of .importlinter, each room with the first sentence of its
docstring.

    python docs/rooms.py
"""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[1]
LINE, GAP, WIDTH, NAMES = 20, 8, 880, 120  # pixels
LONGEST = 112  # characters that fit behind a name
STYLE = (
    "svg{color:#1f2328;font:12px sans-serif}rect{fill:none;stroke:currentColor;opacity:.4}"
    "text{fill:currentColor}.n{font-weight:bold}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3}}"
)


def layers() -> list[list[str]]:
    """The rooms of each layer, from the top."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    lines = parser["importlinter:contract:rooms"]["layers"].split("\n")
    return [re.split(r"\s*:\s*", line.strip()) for line in lines if line.strip()]


def words(room: str) -> str:
    """The first sentence of a module's or package's docstring, cut to fit."""
    path = ROOT / room.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    sentence = re.split(r"(?<=\.) ", text.replace("``", ""))[0].rstrip(".")
    return sentence if len(sentence) <= LONGEST else f"{sentence[: LONGEST - 1].rstrip()}…"


def picture() -> str:
    """The SVG."""
    boxes, y = [], GAP
    for rooms in layers():
        height = LINE * len(rooms) + GAP
        boxes.append(f'<rect x="1" y="{y}" width="{WIDTH - 2}" height="{height}" rx="4"/>')
        for place, room in enumerate(rooms):
            base = y + LINE * (place + 1) - 2
            name = room.partition(".")[2]
            boxes.append(f'<text class="n" x="12" y="{base}">{name}</text>')
            boxes.append(f'<text x="{NAMES}" y="{base}">{escape(words(room))}</text>')
        y += height + GAP
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
        f'height="{y}" role="img">'
    )
    return "\n".join([opening, f"<style>{STYLE}</style>", *boxes, "</svg>", ""])


if __name__ == "__main__":
    (ROOT / "docs" / "rooms.svg").write_text(picture(), encoding="utf-8")
