"""Decimal numbers written as text, as in the radar products of open data: many, parsed fast, none of them guessed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stormcast_tw.errors import BadInput

FloatArray = npt.NDArray[np.float64]

_SEPARATORS = str.maketrans(",", " ")
_SHOWN = 40


def read_numbers(text: str, count: int, what: str, address: str) -> FloatArray:
    """Return the `count` numbers of a text, float64 (count,), separated by commas or white space.

    Scientific notation is accepted. Raises BadInput, naming `what`, for anything else, NaN and infinity included, or
    for another count.
    """
    plain = text.translate(_SEPARATORS).strip()
    try:
        values: FloatArray = np.fromstring(plain, dtype=np.float64, sep=" ")
    except ValueError:
        token = _first_bad(plain)
        raise BadInput(f"{address}: {what} holds {token!r}; allowed decimal numbers") from None
    if values.size != count:
        raise BadInput(f"{address}: {what} holds {values.size} numbers; allowed {count}")
    finite = np.isfinite(values)
    if not finite.all():
        token = plain.split()[int(np.argmin(finite))][:_SHOWN]
        raise BadInput(f"{address}: {what} holds {token!r}; allowed finite numbers")
    return values


def _first_bad(plain: str) -> str:
    for token in plain.split():
        try:
            float(token)
        except ValueError:
            return token[:_SHOWN]
    return plain[-_SHOWN:]
