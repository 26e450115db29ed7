"""One document of CWA's open data that holds a grid: JSON or XML, in today's schema or the one used until 2022.

Today `parameterSet` holds one entry per number; before, a list of `parameter` with Chinese names (data-formats.md 1.2).
JSON and XML have the same content, so an XML document is first converted to the equivalent JSON.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from stormcast_tw.errors import BadInput
from stormcast_tw.grid import Grid
from stormcast_tw.regions.taiwan.clock import TAIPEI
from stormcast_tw.sources.translate.observation import even_grid

Node = Mapping[str, "Node"] | list["Node"] | str | float | None
"""What JSON can hold."""

ROOTS = ("cwaopendata", "cwbopendata")
"""The root element since 2023, and the one until then."""

SIMULATED = "SIMULATED"
"""The word in `datasetDescription` that marks a simulated document."""

_OLD_NAMES = ("左下角", "解析度", "時間", "維度", "單位")
"""Lower left corner, resolution, time, dimension (also "維度(nx*ny)"), unit: what old `parameterName`s begin with."""

_OLD_TIME = re.compile(r"\d{12}")
_LATEST_SENT = timedelta(hours=2)


@dataclass(frozen=True)
class Document:
    """The checked content of a document; `content` is the text that holds nx * ny numbers."""

    data_id: str
    """Empty in the old schema, which had other ids."""
    valid_time: datetime
    grid: Grid
    unit: str
    content: str
    simulated: bool


@dataclass(frozen=True)
class _Parameters:
    """The texts that define a grid, its time and unit, from either schema."""

    west: str
    south: str
    step: str
    time: str
    nx: str
    ny: str
    unit: str


def parse(data: bytes, measure: str, address: str) -> Document:
    """Read a document. In today's schema its `parameterSet` has the unit under `measure`: Precipitation or
    Reflectivity.

    Raises BadInput, naming what was found and what is allowed, for anything that is not such a document.
    """
    root = _root(_tree(data, address), address)
    dataset = _inner(root, "dataset", address)
    info, contents = _inner(dataset, "datasetInfo", address), _inner(dataset, "contents", address)
    entries = _inner(info, "parameterSet", address)
    old = "parameter" in entries
    parameters = _old_parameters(entries, address) if old else _parameters(entries, measure, address)
    step = _number(parameters.step, "resolution", address)
    grid = even_grid(
        address,
        _number(parameters.west, "west", address),
        _number(parameters.south, "south", address),
        _count(parameters.nx, "nx", address),
        _count(parameters.ny, "ny", address),
        step,
        step,
    )
    return Document(
        data_id="" if old else _text(root, "dataid", address),
        valid_time=_time(parameters.time, root, address),
        grid=grid,
        unit=parameters.unit,
        content=_text(contents, "content", address),
        simulated=SIMULATED in str(info.get("datasetDescription", "")),
    )


def aware_time(text: str, name: str, address: str) -> datetime:
    """Return the UTC time of an ISO 8601 text with a UTC offset; raises BadInput for any other text."""
    try:
        time = datetime.fromisoformat(text.strip())
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"{address}: {name} is {text[:40]!r}; allowed an ISO 8601 time") from None
    raise BadInput(f"{address}: {name} is {text[:40]!r}, without a time zone; allowed one such as +08:00")


def _tree(data: bytes, address: str) -> Node:
    """Return the document in JSON form. XML elements lose their namespace, and repeated ones become a list."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{address}: byte {error.start} is not UTF-8; allowed JSON or XML in UTF-8") from None
    start = text.lstrip()[:1]
    try:
        if start == "{":
            return _json(text)
        if start == "<":
            return _xml(text, address)
    except (ValueError, ElementTree.ParseError, RecursionError) as error:
        kind = "JSON" if start == "{" else "XML"
        raise BadInput(f"{address}: not a whole {kind} document ({str(error)[:120]})") from None
    raise BadInput(f"{address}: begins with {text[:20]!r}; allowed {{ (JSON) or < (XML)")


def _json(text: str) -> Node:
    def unique(pairs: list[tuple[str, Node]]) -> dict[str, Node]:
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError(f"a name comes twice among {', '.join(name for name, _ in pairs)}")
        return values

    tree: Node = json.loads(text, object_pairs_hook=unique)
    return tree


def _xml(text: str, address: str) -> Node:
    """Parse XML without a DOCTYPE: only there can entities be declared, so no entity bomb reaches the parser."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadInput(f"{address}: declares a document type; allowed none")
    element = ElementTree.fromstring(text)
    return {_name(element): _plain(element)}


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _plain(element: ElementTree.Element) -> Node:
    if len(element) == 0:
        return element.text or ""
    children: dict[str, list[Node]] = {}
    for child in element:
        children.setdefault(_name(child), []).append(_plain(child))
    return {name: nodes[0] if len(nodes) == 1 else nodes for name, nodes in children.items()}


def _root(tree: Node, address: str) -> Mapping[str, Node]:
    names = list(tree) if isinstance(tree, Mapping) else []
    if len(names) != 1 or names[0] not in ROOTS:
        raise BadInput(f"{address}: its root is {', '.join(names)[:80]!r}; allowed {' or '.join(ROOTS)}")
    return _inner(tree, names[0], address)


def _inner(node: Node, name: str, address: str) -> Mapping[str, Node]:
    inner = node.get(name) if isinstance(node, Mapping) else None
    if not isinstance(inner, Mapping):
        raise BadInput(f"{address}: {name} is {_kind_of(inner)}; allowed an object of names")
    return inner


def _text(node: Mapping[str, Node], name: str, address: str) -> str:
    """Return the text under a name, or under `#text` below it, as older exports have it; a number as its text."""
    value = node.get(name)
    if isinstance(value, Mapping):
        value = value.get("#text")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadInput(f"{address}: {name} is {_kind_of(value)}; allowed a text")
    return str(value)


def _kind_of(node: Node) -> str:
    return "absent" if node is None else f"a {type(node).__name__}"


def _parameters(entries: Mapping[str, Node], measure: str, address: str) -> _Parameters:
    names = (
        "StartPointLongitude",
        "StartPointLatitude",
        "GridResolution",
        "DateTime",
        "GridDimensionX",
        "GridDimensionY",
        measure,
    )
    return _Parameters(*(_text(entries, name, address) for name in names))


def _old_parameters(entries: Mapping[str, Node], address: str) -> _Parameters:
    values: dict[str, str] = {}
    listed = entries["parameter"]
    for entry in listed if isinstance(listed, list) else [listed]:
        if not isinstance(entry, Mapping):
            raise BadInput(f"{address}: a parameter is {_kind_of(entry)}; allowed an object of names")
        name = _text(entry, "parameterName", address)
        known = next((old for old in _OLD_NAMES if name.startswith(old)), None)
        if known in values:
            raise BadInput(f"{address}: parameter {known} comes twice; allowed once")
        if known is not None:
            values[known] = _text(entry, "parameterValue", address)
    if absent := [name for name in _OLD_NAMES if name not in values]:
        raise BadInput(f"{address}: has no parameter {', '.join(absent)}; allowed all of {', '.join(_OLD_NAMES)}")
    corner, step, time, dimension, unit = (values[name] for name in _OLD_NAMES)
    west, comma, south = corner.partition(",")
    nx, times, ny = dimension.partition("*")
    if not comma or not times:
        raise BadInput(f"{address}: corner {corner!r}, dimension {dimension!r}; allowed 'lon,lat' and 'nx*ny'")
    return _Parameters(west, south, step, time, nx, ny, unit)


def _time(text: str, root: Mapping[str, Node], address: str) -> datetime:
    """Return the valid time, UTC. Twelve digits are local time, whatever their label; `sent` must confirm it.

    The file of 2018 labels 201803280400 as UTC and was sent at 04:15+08:00 (data-formats.md 1.2).
    """
    if _OLD_TIME.fullmatch(text.strip()) is None:
        return aware_time(text, "DateTime", address)
    try:
        time = datetime.strptime(text.strip(), "%Y%m%d%H%M").replace(tzinfo=TAIPEI).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"{address}: 時間 is {text!r}; allowed YYYYMMDDHHMM") from None
    sent = aware_time(_text(root, "sent", address), "sent", address)
    if not timedelta(0) <= sent - time <= _LATEST_SENT:
        raise BadInput(
            f"{address}: 時間 {text.strip()}, local time, lies {sent - time} before sent {sent.isoformat()};"
            f" allowed 0:00:00 to {_LATEST_SENT}"
        )
    return time


def _number(text: str, name: str, address: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{address}: {name} is {text[:40]!r}; allowed a number")
    return value


def _count(text: str, name: str, address: str) -> int:
    if not (text.strip().isdecimal() and len(text.strip()) < 10):
        raise BadInput(f"{address}: {name} is {text[:40]!r}; allowed a whole number")
    return int(text)
