"""A matplotlib figure as an SVG for a page: text stays text, ink follows the page's colours, ids
are unique on the page.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from omnigrok.errors import BadInput

INK = "#010203"  # becomes the page's own text colour, light or dark
TRAIN, TEST, NORM = "#2a7fc9", "#d2601a", "#2e9b6a"  # 3 : 1 or more on both of the page's grounds
REGION = "#2e9b6a"  # of a claim, drawn pale
SERIES = ("#2a7fc9", "#d2601a", "#2e9b6a", "#b05fc2", "#8a7f1d", "#c2486b")
MAPS = "viridis"
PLAIN = 4  # decades around 1 whose numbers are written out
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LEAST_SHARE = 0.4  # of a shared axis that each drawing fills
PANEL = (3.6, 2.7)  # inches
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "image.cmap": MAPS,
    "path.simplify_threshold": 0.5,
}


def require_matplotlib() -> None:
    """Say what to install where matplotlib is missing.

    Raises:
        BadInput: it is.
    """
    try:
        import matplotlib  # noqa: F401, PLC0415
    except ImportError as error:
        raise BadInput('figures need matplotlib: pip install "omnigrok[report]"') from error


class Canvas:
    """A grid of axes that ends as one SVG.

    Args:
        rows, columns: of the grid.
        size: inches of one panel.

    Attributes:
        said: what is drawn here and not in every drawing of this kind, for the caption.
    """

    def __init__(self, rows: int, columns: int, size: tuple[float, float] = PANEL) -> None:
        from matplotlib.figure import Figure  # noqa: PLC0415 (optional, and slow to import)

        self.figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        self.axes: list[list[Any]] = self.figure.subplots(rows, columns, squeeze=False).tolist()
        self.said: list[str] = []

    def flat(self) -> list[Any]:
        """All axes, row by row."""
        return [axes for row in self.axes for axes in row]

    def legend(self, handles: Sequence[Any]) -> None:
        """One legend for the whole figure, below it."""
        longest = max((len(each.get_label()) for each in handles), default=0)
        inches = 0.65 + 0.068 * longest  # of a handle with its text
        columns = max(1, min(len(handles), int(self.figure.get_figwidth() / inches)))
        self.figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)

    def svg(self, name: str) -> str:
        """The figure as an ``svg`` element, ids prefixed with ``name``."""
        for axes in self.figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                _plain_powers(axis)
        buffer = io.StringIO()
        none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.figure.savefig(buffer, format="svg", transparent=True, metadata=none)
        return finish(buffer.getvalue(), name)


def share_axes(canvases: Sequence[Canvas]) -> None:
    """Give the panels at the same place of several drawings the same limits and colours, so that
    one can be laid over the other.

    Drawings with other panels than the first, and axes of another scale or of a much smaller range,
    stay as they are.
    """
    if len({len(canvas.flat()) for canvas in canvases}) != 1:
        return
    for panels in zip(*(canvas.flat() for canvas in canvases), strict=True):
        for name in "xy":
            _share_limits([getattr(each, f"{name}axis") for each in panels])
        _share_colours(panels)


def _share_limits(axes: Sequence[Any]) -> None:
    """The widest limits for all, unless one of them would be squeezed below ``LEAST_SHARE``."""
    if len({each.get_scale() for each in axes}) != 1:
        return
    limits = [sorted(each.get_view_interval()) for each in axes]
    low, high = min(ends[0] for ends in limits), max(ends[1] for ends in limits)
    transform = axes[0].get_transform().transform
    spans = [float(np.ptp(transform(np.array(ends)))) for ends in (*limits, (low, high))]
    if min(spans) >= LEAST_SHARE * spans[-1]:
        for each in axes:
            getattr(each.axes, f"set_{each.axis_name}lim")(low, high)


def _share_colours(panels: Sequence[Any]) -> None:
    from matplotlib.collections import QuadMesh  # noqa: PLC0415 (optional)

    meshes = [mesh for each in panels for mesh in each.collections if isinstance(mesh, QuadMesh)]
    if len({type(mesh.norm) for mesh in meshes}) == 1:
        ends = [end for mesh in meshes for end in mesh.get_clim()]
        for mesh in meshes:
            mesh.set_clim(min(ends), max(ends))


def power_text(value: float) -> str:
    """A tick of a logarithmic axis: 200, 0.01, 10⁻⁵ and 3·10⁶."""
    exponent = math.floor(math.log10(value) + 1e-9)
    if -PLAIN <= exponent < PLAIN:
        return f"{value:.4g}"
    factor = f"{value / 10.0**exponent:.3g}"
    power = f"10{str(exponent).translate(RAISED)}"
    return power if factor == "1" else f"{factor}·{power}"


def _plain_powers(axis: Any) -> None:
    """Ticks of logarithmic axes as text: as formulas they take a quarter of the time of a page."""
    from matplotlib.ticker import LogFormatter, LogFormatterMathtext  # noqa: PLC0415 (optional)

    class Plain(LogFormatter):
        def __call__(self, value: float, place: int | None = None) -> str:
            return power_text(value) if super().__call__(value, place) else ""

    for kind in ("major", "minor"):
        known = getattr(axis, f"get_{kind}_formatter")()
        if isinstance(known, LogFormatterMathtext):
            plain = Plain(
                labelOnlyBase=known.labelOnlyBase, minor_thresholds=known.minor_thresholds
            )
            getattr(axis, f"set_{kind}_formatter")(plain)


def label_values(axis: Any, values: Sequence[float]) -> None:
    """Label the values themselves on a logarithmic axis, at most six of them: ticks between decades
    would run into one another.
    """
    from matplotlib.ticker import NullLocator  # noqa: PLC0415 (optional)

    chosen = list(values)[:: -(-len(values) // 6)]
    axis.set_ticks(chosen, labels=[f"{value:g}" for value in chosen])
    axis.set_minor_locator(NullLocator())


@contextmanager
def settings() -> Iterator[None]:
    """The look of all drawings."""
    require_matplotlib()
    import matplotlib  # noqa: PLC0415

    look: Any = {**SETTINGS, "svg.hashsalt": "omnigrok"}
    with matplotlib.rc_context(look):
        yield


def finish(text: str, name: str) -> str:
    """Make the SVG that matplotlib wrote fit to stand in a page with others."""
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    # Its style rule for every element would reach out of the drawing.
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, count=1, flags=re.S)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    svg = re.sub(
        r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg
    )
    svg = re.sub(r'(url\(#|href="#)', lambda found: f"{found[1]}{name}-", svg)
    svg = svg.replace(INK, "currentColor")
    # Two decimals are a hundredth of a point; curves of all seeds are most of the page's bytes.
    svg = re.sub(
        r'\bd="([^"]*)"', lambda found: 'd="' + re.sub(r"(\.\d\d)\d+", r"\1", found[1]) + '"', svg
    )
    return svg.strip()
