"""The grids of Taiwan."""

from stormcast_tw.grid import Grid

TAIWAN_2KM = Grid("TAIWAN_2KM", 21.6, 25.6, 224, 119.75, 122.25, 128)
"""224 x 128 points, about 2 km apart, both ends of the domain included."""

TAIWAN_25KM = Grid("TAIWAN_25KM", 21.6, 25.6, 17, 119.75, 122.25, 11)
"""The same domain at the spacing of the global models, 0.25 degree: where inputs are compared with each other."""
