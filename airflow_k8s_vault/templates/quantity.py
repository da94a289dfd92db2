"""Kubernetes quantities ("500m", "2Gi"): https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?[0-9]{1,2}))?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def parse(text: object) -> Decimal | None:
    """Return the amount of a quantity, text or number, that is not negative; None where it is none.

    >>> parse("500m"), parse("2Gi"), parse("2 GB")
    (Decimal('0.500'), Decimal('2147483648'), None)
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    match = _QUANTITY.fullmatch(str(text))
    if not match or not str(text).isascii():
        return None
    number, unit, exponent = match.groups()
    if unit in _BINARY:
        return Decimal(number) * Decimal(1024) ** _BINARY[unit]
    return Decimal(number).scaleb(int(exponent) if exponent else _DECIMAL[unit or ""])
