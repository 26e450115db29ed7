"""The IOOS compliance checker, as `compliance-checker -c strict` runs it."""

import re
from pathlib import Path

import xarray as xr
from compliance_checker.runner import CheckSuite


def complaints(path: Path, checker: str) -> dict[int, list[str]]:
    """What a checker says of a file: weight (3 high, 2 medium, 1 low) -> messages; empty where it has none."""
    suite = CheckSuite()
    suite.load_all_available_checkers()
    with suite.load_dataset(str(path)) as dataset:
        results, failed = suite.run_all(dataset, [checker])[checker]
    assert not failed
    said: dict[int, list[str]] = {}
    for result in results:
        failing = not result.value if isinstance(result.value, bool) else result.value[0] < result.value[1]
        if failing:
            said.setdefault(result.weight, []).extend(result.msgs or [str(result.name)])
    return said


def of_each_kind(products: xr.Dataset) -> xr.Dataset:
    """One field of each kind, with all coordinates: what is said of it is the same but for names, numbers and sides.

    The checker's time grows with the square of the number of fields.
    """
    kinds: dict[str, str] = {}
    for name, field in products.data_vars.items():
        said = {key: value for key, value in field.attrs.items() if key not in ("long_name", "comment")}
        kinds.setdefault(re.sub(r"\d+|above|below", "", f"{field.ndim} {field.dtype} {said}"), str(name))
    kept = products.drop_vars(set(products.data_vars) - set(kinds.values()))
    fields = kept.data_vars.values()
    used = {name for field in fields for name in (*field.dims, *field.attrs["coordinates"].split())}
    ends = [name for name in kept.coords if re.search(r"_threshold$|^valid_time_\w+(?<!bounds)$", str(name))]
    unused = [name for name in ends if name not in used]
    return kept.drop_vars([*unused, *(kept[name].attrs["bounds"] for name in unused if "bounds" in kept[name].attrs)])
