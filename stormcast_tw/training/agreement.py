"""Whether two runs agree: what they were made from, and their metrics within a stated tolerance."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Literal

from stormcast_tw.errors import NotReady
from stormcast_tw.plan import Frozen, digest_of
from stormcast_tw.training import log
from stormcast_tw.training.run import RESULT, RUN, Begun, Result

TOLERANCE = 0.02
"""Relative. Two machines round differently, and training amplifies that: after some thousand updates the losses over
the last tenth agree to about one per cent, the scores of small ensembles to two."""


class AgreementRow(Frozen):
    """One comparison."""

    what: str
    a: str
    b: str
    verdict: Literal["same", "within", "other", "beyond"]
    """`other`: they differ in a way that still allows agreement (hardware); `beyond`: they do not agree."""


class Agreement(Frozen):
    """All rows, and the verdict."""

    tolerance: float
    rows: tuple[AgreementRow, ...]

    @property
    def agree(self) -> bool:
        """True if no row is `beyond`."""
        return all(row.verdict != "beyond" for row in self.rows)


_MUST = ("recipe", "data", "base", "seed")
"""Runs that differ in these are not the same training."""


def compare(a: Path, b: Path, tolerance: float = TOLERANCE) -> Agreement:
    """Compare two finished runs, given their folders. Raises NotReady for a run that has not ended."""
    return Agreement(tolerance=tolerance, rows=(*_made_of(a, b), *_metrics(a, b, tolerance)))


def _made_of(a: Path, b: Path) -> Iterator[AgreementRow]:
    ours, theirs = _facts(a), _facts(b)
    for what in ours:
        same = ours[what] == theirs[what]
        verdict: Literal["same", "other", "beyond"] = "same" if same else "beyond" if what in _MUST else "other"
        yield AgreementRow(what=what, a=ours[what], b=theirs[what], verdict=verdict)


def _facts(folder: Path) -> dict[str, str]:
    begun = Begun.model_validate_json(_text(folder / RUN))
    last = begun.attempts[-1]
    return {
        "recipe": f"{begun.recipe.name} {digest_of(begun.recipe.model_dump(mode='json'))[:12]}",
        "data": begun.data[:12],
        "base": (begun.base or "none")[:12],
        "seed": str(begun.recipe.seed),
        "code": str(last["code"]),
        "installed": str(last["installed"]),
        "hardware": f"{last['device']}, {last['processes']} processes of {last['threads']} threads",
        "versions": f"python {last['python']}, torch {last['torch']}, numpy {last['numpy']}",
        "switches": ", ".join(f"{name} {value}" for name, value in last["switches"].items()),
        "package": _result(folder).package[:12],
    }


def _metrics(a: Path, b: Path, tolerance: float) -> Iterator[AgreementRow]:
    ours, theirs = _numbers(a), _numbers(b)
    for what in sorted({*ours, *theirs}):
        in_a, in_b = ours.get(what), theirs.get(what)
        yield AgreementRow(what=what, a=_shown(in_a), b=_shown(in_b), verdict=_verdict(in_a, in_b, tolerance))


def _numbers(folder: Path) -> dict[str, float]:
    """Return the loss over the last tenth of every stage, the residual, and CRPS and spread/error by variable."""
    result, metrics = _result(folder), {}
    lines = [line for line in log.read(folder / log.LOG) if line.get("loss") is not None]
    for stage in dict.fromkeys(line["stage"] for line in lines):
        losses = [line["loss"] for line in lines if line["stage"] == stage]
        last = losses[-max(1, len(losses) // 10) :]
        metrics[f"loss of {stage}"] = sum(last) / len(last)
    metrics |= {f"residual of {variable}": value for variable, value in result.residual_std.items()}
    if result.scores is not None:
        metrics["skill"] = result.scores.skill
        for variable, row in result.scores.crps.items():
            metrics[f"crps of {variable}"] = sum(row) / len(row)
        for variable, ratios in result.scores.spread_over_error.items():
            known = [ratio for ratio in ratios if ratio is not None]
            metrics |= {f"spread / error of {variable}": sum(known) / len(known)} if known else {}
    return metrics


def _verdict(a: float | None, b: float | None, tolerance: float) -> Literal["same", "within", "beyond"]:
    if a is None or b is None or not (isfinite(a) and isfinite(b)):
        return "beyond"
    if a == b:
        return "same"
    return "within" if abs(a - b) <= tolerance * max(abs(a), abs(b)) else "beyond"


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _result(folder: Path) -> Result:
    return Result.model_validate_json(_text(folder / RESULT))


def _text(path: Path) -> str:
    if not path.exists():
        raise NotReady(f"{path}: is not there; the training has not ended")
    return path.read_text()
