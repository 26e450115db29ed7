"""Small charts as inline SVG: no library, no script; colours by class, so that light, dark and print can differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape

WIDTH, HEIGHT = 340, 218
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 16, 20, 34
_MARKS = ("circle", "square", "triangle", "diamond", "cross", "plus")

Numbers = Sequence[float | None]


@dataclass(frozen=True)
class Line:
    """A series (x, y) with an optional band; `style` is a CSS class (colour), `mark` the shape of its points."""

    label: str
    x: Numbers
    y: Numbers
    style: str
    mark: int = 0
    low: Numbers = field(default=())
    high: Numbers = field(default=())


@dataclass(frozen=True)
class Frame:
    """Title and axes of a chart: labels, fixed limits if any, a level to mark, a diagonal.

    `x_ticks` are the numbered positions of x, `x_names` words for x = 0, 1, 2, ... instead; y may be `logarithmic`.
    """

    title: str
    x_label: str
    y_label: str
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    level: float | None = None
    diagonal: bool = False
    x_names: Sequence[str] = ()
    x_ticks: Sequence[float] = ()
    logarithmic: bool = False

    def of_leads(self, leads: Sequence[int]) -> Frame:
        """Return the frame with lead times in hours along x."""
        step = next((step for step in (1, 3, 6, 12, 24) if leads[-1] - leads[0] <= 6 * step), 48)
        chosen = [lead for lead in leads if lead % step == 0 or lead == leads[0]]
        return replace(self, x_label="預報時數 lead (h)", x_ticks=chosen)


def line_chart(frame: Frame, lines: Sequence[Line]) -> str:
    """Return a chart of lines; missing numbers break them, bands are shaded, every point has its value as tooltip."""
    axes = _Axes.of(frame, lines)
    body = [axes.drawn(frame)]
    body += [_band(axes, line) for line in lines if line.low and line.high]
    body += [_line(axes, line) for line in lines]
    return _svg(frame.title, body)


def bar_chart(frame: Frame, heights: Numbers, style: str) -> str:
    """Return a chart of bars from zero, side by side and numbered from 0."""
    known = [height for height in heights if height is not None]
    line = Line("", [-0.5, len(heights) - 0.5], [0.0, max([*known, frame.level or 0.0]) * 1.05], style)
    axes = _Axes.of(frame, [line])
    bars = []
    for place, height in enumerate(heights):
        if height is not None:
            left, right = axes.x(place - 0.4), axes.x(place + 0.4)
            top, bottom = axes.y(height), axes.y(0.0)
            bars.append(
                f'<rect class="bar {style}" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}"'
                f' height="{bottom - top:.1f}"><title>{place}: {height:.3g}</title></rect>'
            )
    return _svg(frame.title, [axes.drawn(frame), *bars])


def key(label: str, style: str, mark: int) -> str:
    """Return a legend entry: a piece of line with its mark, and the label."""
    drawn = f'<path class="line {style}" d="M1 8H31"/>' + _mark(16, 8, mark, style, "")
    return f'<span class="key"><svg viewBox="0 0 32 16" aria-hidden="true">{drawn}</svg>{escape(label)}</span>'


@dataclass(frozen=True)
class _Axes:
    x_from: float
    x_to: float
    y_from: float
    y_to: float
    logarithmic: bool = False

    @classmethod
    def of(cls, frame: Frame, lines: Sequence[Line]) -> _Axes:
        xs = [float(place) for place in range(len(frame.x_names))] or [
            x for line in lines for x in line.x if x is not None
        ]
        ys = [y for line in lines for y in (*line.y, *line.low, *line.high) if y is not None]
        ys += [] if frame.level is None else [frame.level]
        if frame.logarithmic:
            ys = [math.log10(y) for y in ys if y > 0]
        return cls(*(frame.x_limits or _limits(xs)), *(frame.y_limits or _limits(ys, 0.05)), frame.logarithmic)

    def x(self, value: float) -> float:
        """Return x in pixels from the left."""
        return _LEFT + (value - self.x_from) / (self.x_to - self.x_from) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return y in pixels from the top; values that a logarithmic axis cannot show are put at its foot."""
        if self.logarithmic:
            value = math.log10(value) if value > 0 else self.y_from
        return HEIGHT - _BOTTOM - (value - self.y_from) / (self.y_to - self.y_from) * (HEIGHT - _TOP - _BOTTOM)

    def y_ticks(self) -> list[float]:
        """Return the values of y that are numbered."""
        if not self.logarithmic:
            return ticks(self.y_from, self.y_to)
        exponents = range(math.floor(self.y_from), math.ceil(self.y_to) + 1)
        steps = (1, 2, 5) if self.y_to - self.y_from < 3 else (1,)
        return [step * 10.0**n for n in exponents for step in steps if self.y_from <= n + math.log10(step) <= self.y_to]

    def drawn(self, frame: Frame) -> str:
        """Return grid lines, numbers, labels, the marked level and the diagonal."""
        left, right, bottom = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM
        parts = []
        for tick in self.y_ticks():
            y = self.y(tick)
            parts.append(f'<path class="grid" d="M{left} {y:.1f}H{right}"/>')
            parts.append(f'<text class="tick" x="{left - 4}" y="{y + 3:.1f}" text-anchor="end">{tick:g}</text>')
        places = frame.x_ticks or ticks(self.x_from, self.x_to)
        numbered = [(place, f"{place:g}") for place in places]
        for tick, name in [(float(n), name) for n, name in enumerate(frame.x_names)] or numbered:
            where = f'x="{self.x(tick):.1f}" y="{bottom + 12}" text-anchor="middle"'
            parts.append(f'<text class="tick" {where}>{escape(name)}</text>')
        if frame.level is not None:
            parts.append(f'<path class="level" d="M{left} {self.y(frame.level):.1f}H{right}"/>')
        if frame.diagonal:
            parts.append(f'<path class="level" d="M{self.x(0):.1f} {self.y(0):.1f}L{self.x(1):.1f} {self.y(1):.1f}"/>')
        parts.append(f'<path class="axis" d="M{left} {_TOP}V{bottom}H{right}"/>')
        middle = (left + right) / 2
        parts.append(
            f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(frame.x_label)}</text>'
        )
        parts.append(f'<text class="label" x="4" y="10">{escape(frame.y_label)}</text>')
        return "".join(parts)


def ticks(first: float, last: float, count: int = 6) -> list[float]:
    """Return up to about `count` round numbers from `first` to `last`: multiples of 1, 2 or 5 times a power of ten."""
    raw = (last - first) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= raw * 0.999)
    start = math.ceil(first / step - 1e-9)
    return [round(n * step, 12) for n in range(start, math.floor(last / step + 1e-9) + 1)]


def _limits(values: Sequence[float], margin: float = 0.0) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return low - margin * (high - low), high + margin * (high - low)


def _svg(title: str, body: Sequence[str]) -> str:
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(title)}">{"".join(body)}</svg></figure>'
    )


def _band(axes: _Axes, line: Line) -> str:
    known = [
        (axes.x(x), axes.y(low), axes.y(high))
        for x, low, high in zip(line.x, line.low, line.high, strict=True)
        if x is not None and low is not None and high is not None
    ]
    if len(known) < 2:
        return ""
    outline = [f"{x:.1f} {high:.1f}" for x, _, high in known] + [f"{x:.1f} {low:.1f}" for x, low, _ in reversed(known)]
    return f'<path class="band {line.style}" d="M{"L".join(outline)}Z"/>'


def _line(axes: _Axes, line: Line) -> str:
    path, pen, marks = "", "M", []
    for x, y in zip(line.x, line.y, strict=True):
        if x is None or y is None:
            pen = "M"
            continue
        path += f"{pen}{axes.x(x):.1f} {axes.y(y):.1f}"
        pen = "L"
        marks.append(_mark(axes.x(x), axes.y(y), line.mark, line.style, f"{line.label}, {x:g}: {y:.4g}"))
    return f'<path class="line {line.style}" d="{path}"/>{"".join(marks)}' if path else ""


def _mark(x: float, y: float, mark: int, style: str, title: str) -> str:
    shape = _MARKS[mark % len(_MARKS)]
    outline = {
        "circle": f"M{x - 2.6:.1f} {y:.1f}a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0 -5.2 0Z",
        "square": f"M{x - 2.4:.1f} {y - 2.4:.1f}h4.8v4.8h-4.8Z",
        "triangle": f"M{x:.1f} {y - 3:.1f}l2.9 5h-5.8Z",
        "diamond": f"M{x:.1f} {y - 3.2:.1f}l3.2 3.2l-3.2 3.2l-3.2 -3.2Z",
        "cross": f"M{x - 2.4:.1f} {y - 2.4:.1f}l4.8 4.8m0 -4.8l-4.8 4.8",
        "plus": f"M{x - 3:.1f} {y:.1f}h6m-3 -3v6",
    }[shape]
    told = f"<title>{escape(title)}</title>" if title else ""
    return f'<path class="mark {shape} {style}" d="{outline}">{told}</path>'
