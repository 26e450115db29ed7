import pytest

from stormcast_tw.variables import BACKGROUND_SETS, STATE_SETS, VARIABLES, Variable, VariableSet


def test_sets_have_the_sizes_of_the_design():
    assert {name: len(s) for name, s in STATE_SETS.items()} == {"surface": 4, "surface_radar": 5, "upper": 52}
    assert {name: len(s) for name, s in BACKGROUND_SETS.items()} == {"background24": 24, "background26": 26}
    assert STATE_SETS["surface"].ids == ("t2m", "u10m", "v10m", "tp01")
    assert set(BACKGROUND_SETS["background26"].ids) - set(BACKGROUND_SETS["background24"].ids) == {"sp", "tcwv"}


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=lambda v: v.id)
def test_every_row_is_complete(variable: Variable):
    assert variable.long_name
    assert variable.standard_name or variable.id == "coverage"
    assert variable.valid_range[0] < variable.valid_range[1]
    assert (variable.level_hpa is not None) == any(c.isdigit() for c in variable.id[1:] if variable.id[0] in "uvtqz"
                                                   and variable.id not in ("t2m", "u10m", "v10m", "tp01"))  # fmt: skip


def test_rain_is_a_sum_over_the_hour():
    assert VARIABLES["tp01"].cell_methods == "time: sum"
    assert VARIABLES["tp01"].transform == "log1p"


def test_wrong_rows_are_refused():
    with pytest.raises(ValueError, match="unknown units"):
        Variable("x", "x", "x", "degC", (0.0, 1.0))
    with pytest.raises(ValueError, match="not ordered"):
        Variable("x", "x", "x", "K", (1.0, 1.0))
    with pytest.raises(ValueError, match=r"\['t2m'\] appear twice"):
        VariableSet("twice", (VARIABLES["t2m"], VARIABLES["t2m"]))


def test_pressure_levels_hold_a_standard_atmosphere():
    for level, (height, temperature) in {
        1000: (111, 287.4),
        850: (1457, 278.7),
        500: (5574, 251.9),
        250: (10363, 220.8),
    }.items():
        for name, value in ((f"z{level}", 9.80665 * height), (f"t{level}", temperature)):
            low, high = VARIABLES[name].valid_range
            assert low < value < high, (name, value, low, high)
