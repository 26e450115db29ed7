"""The share of a cell in a polygon, by hand; Taiwan's are held together in test_zones."""

import numpy as np
import pytest

from stormcast_tw.products.overlap import cell_shares, multipolygon

SHAPE = (3, 4)


def ring(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, float)


def box(left: float, bottom: float, right: float, top: float) -> np.ndarray:
    return ring((left, bottom), (right, bottom), (right, top), (left, top))


@pytest.mark.parametrize("turn", [1, -1], ids=["anticlockwise", "clockwise"])
def test_a_rectangle_by_hand(turn: int):
    # Columns are covered 1/2, 1, 1, 0, rows 3/4, 1, 0.
    made = cell_shares(multipolygon([[box(0.5, 0.25, 3.0, 2.0)[::turn]]]), SHAPE)
    assert made == pytest.approx(np.outer([0.75, 1, 0], [0.5, 1, 1, 0]))


def test_a_triangle_by_hand():
    # Below the diagonal from (0, 0) to (2, 2): half of the cells on it, all of the one under it.
    made = cell_shares(multipolygon([[ring((0, 0), (2, 0), (2, 2))]]), SHAPE)
    assert made == pytest.approx(np.array([[0.5, 1, 0, 0], [0, 0.5, 0, 0], [0, 0, 0, 0]]))


def test_a_hole_and_an_island_in_it():
    polygons = multipolygon([[box(0, 0, 3, 3), box(0.5, 1, 2.5, 2)], [box(1, 1.25, 2, 1.75)]])
    made = cell_shares(polygons, SHAPE)
    assert made == pytest.approx(np.array([[1, 1, 1, 0], [0.5, 0.5, 0.5, 0], [1, 1, 1, 0]]))
    assert polygons.area == pytest.approx(9 - 2 + 0.5) == made.sum()


def test_what_lies_outside_the_grid_counts_nowhere():
    assert cell_shares(multipolygon([[box(-7, -9, 11, 13)]]), SHAPE) == pytest.approx(np.ones(SHAPE))
    for outside in (box(-3, 0, -1, 3), box(4.5, 0, 6, 3), box(0, -2, 4, 0), box(0, 3, 4, 5)):
        assert not cell_shares(multipolygon([[outside]]), SHAPE).any()


def test_polygons_that_lie_on_each_other_are_refused():
    with pytest.raises(ValueError, match="Self-intersection"):
        multipolygon([[box(0, 0, 2, 2)], [box(1, 1, 3, 3)]])
