"""Quantities of Kubernetes ("500m", "2Gi", ".5", "1e3"), as its own parser takes them.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ has the grammar.
"""

from __future__ import annotations

import re
from decimal import Decimal

# One that is not negative. Digits may be missing on one side of the point; an exponent takes the suffix's place.
PATTERN = r"\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?"
_QUANTITY = re.compile(f"(-?){PATTERN}")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def parse(text: object) -> Decimal | None:
    """Return the amount of a quantity, text or number, in its base unit (CPUs, bytes); None where it is none.

    >>> parse("500m"), parse("2Gi"), parse("1E"), parse("1e3"), parse("2 GB")
    (Decimal('0.500'), Decimal('2147483648'), Decimal('1E+18'), Decimal('1E+3'), None)
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    match = _QUANTITY.fullmatch(str(text))
    if not match:
        return None
    sign, number, unit, exponent = match.groups()
    amount = Decimal(sign + number)
    if unit in _BINARY:
        return amount * Decimal(1024) ** _BINARY[unit]
    return amount.scaleb(int(exponent) if exponent else _DECIMAL[unit or ""])
