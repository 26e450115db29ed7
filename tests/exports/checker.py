"""The IOOS compliance checker, as `compliance-checker -c strict` runs it."""

from pathlib import Path

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
