"""The share of a cell in a polygon: by hand, and as shapely cuts it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormcast_tw.products.overlap import cell_shares, ring_area

SHAPE = (3, 4)


def ring(*points: tuple[float, float]) -> np.ndarray:
    """Points (x, y), as one draws them, as (y, x)."""
    return np.array(points, float)[:, ::-1]


def box(left: float, bottom: float, right: float, top: float) -> np.ndarray:
    return ring((left, bottom), (right, bottom), (right, top), (left, top))


@pytest.mark.parametrize("turn", [1, -1], ids=["anticlockwise", "clockwise"])
@pytest.mark.parametrize("closed", [False, True])
def test_a_rectangle_by_hand(turn: int, closed: bool):
    outer = box(0.5, 0.25, 3.0, 2.0)[::turn]
    outer = np.concatenate([outer, outer[:1]]) if closed else outer
    # Columns are covered 1/2, 1, 1, 0, rows 3/4, 1, 0.
    assert cell_shares([[outer]], SHAPE) == pytest.approx(np.outer([0.75, 1, 0], [0.5, 1, 1, 0]))


def test_a_triangle_by_hand():
    # Below the diagonal from (0, 0) to (2, 2): half of the cells on it, all of the one under it.
    made = cell_shares([[ring((0, 0), (2, 0), (2, 2))]], SHAPE)
    assert made == pytest.approx(np.array([[0.5, 1, 0, 0], [0, 0.5, 0, 0], [0, 0, 0, 0]]))


def test_a_hole_and_an_island_in_it():
    polygons = [[box(0, 0, 3, 3), box(0.5, 1, 2.5, 2)], [box(1, 1.25, 2, 1.75)]]
    made = cell_shares(polygons, SHAPE)
    assert made == pytest.approx(np.array([[1, 1, 1, 0], [0.5, 0.5, 0.5, 0], [1, 1, 1, 0]]))
    assert ring_area(polygons) == pytest.approx(9 - 2 + 0.5) == made.sum()


def test_what_lies_outside_the_grid_counts_nowhere():
    assert cell_shares([[box(-7, -9, 11, 13)]], SHAPE) == pytest.approx(np.ones(SHAPE))
    for outside in (box(-3, 0, -1, 3), box(4.5, 0, 6, 3), box(0, -2, 4, 0), box(0, 3, 4, 5)):
        assert not cell_shares([[outside]], SHAPE).any()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_polygon_as_shapely_cuts_it(seed: int):
    shapely = pytest.importorskip("shapely")
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 12))
    star = rng.uniform(0.3, 3.0, 12)[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    star = star + rng.uniform(0, 4, 2)
    if rng.random() < 0.3:
        star = np.round(star)  # corners of cells, edges along cells
    polygon = shapely.Polygon(star[:, ::-1])
    if not polygon.is_valid:
        return
    j, i = np.mgrid[: SHAPE[0], : SHAPE[1]]
    expected = shapely.area(shapely.intersection(polygon, shapely.box(i, j, i + 1, j + 1)))
    np.testing.assert_allclose(cell_shares([[star]], SHAPE), expected, atol=2e-9)
    assert ring_area([[star]]) == pytest.approx(polygon.area)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_two_parts_make_the_whole(seed: int):
    """A border that two zones share takes from one what it gives to the other."""
    rng = np.random.default_rng(seed)
    border = np.stack([np.linspace(0, 3, 8), rng.uniform(0.1, 3.9, 8)], axis=-1)
    west = np.concatenate([border, [[3, 0], [0, 0]]])
    east = np.concatenate([border, [[3, 4], [0, 4]]])
    np.testing.assert_allclose(cell_shares([[west]], SHAPE) + cell_shares([[east]], SHAPE), 1, atol=1e-12)
