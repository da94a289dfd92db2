"""Versions with known holes that concern this use of Vault: one row of data each, with its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from packaging.version import InvalidVersion, Version


class Advisory(NamedTuple):
    """fixed: the first release of each line that is not concerned, in ascending order."""

    identifier: str
    product: str
    fixed: tuple[str, ...]
    what: str
    source: str


ADVISORIES = (
    Advisory(
        "BIT-openbao-2026-115356",
        "openbao",
        ("2.6.4", "2.7.1"),
        "a token of the kubernetes auth method stays renewable after its service account is deleted",
        "https://openbao.org/docs/policies/security/",
    ),
)


def concerning(product: str, version: str) -> Iterator[Advisory]:
    """Yield the advisories that concern a version of "openbao" or "vault"; none where it cannot be read.

    >>> [advisory.identifier for advisory in concerning("openbao", "2.7.0")]
    ['BIT-openbao-2026-115356']
    >>> list(concerning("openbao", "2.7.2")), list(concerning("openbao", "2.6.4"))
    ([], [])
    """
    try:
        own = Version(version.removeprefix("v").partition("-")[0])
    except InvalidVersion:
        return
    for advisory in ADVISORIES:
        if advisory.product == product and not _is_fixed(own, [Version(text) for text in advisory.fixed]):
            yield advisory


def _is_fixed(own: Version, fixed: list[Version]) -> bool:
    """Whether it is at or past the fix of its own line, or of a line younger than all that were mended."""
    same = [release for release in fixed if release.release[:2] == own.release[:2]]
    return own >= same[0] if same else own > fixed[-1]


def of_image(image: str) -> tuple[str, str]:
    """Return product and version that an image's name gives, ("", "") where it gives none.

    >>> of_image("registry.example.com/openbao/openbao:2.7.2@sha256:00")
    ('openbao', '2.7.2')
    >>> of_image("hashicorp/vault:1.20.1"), of_image("mirror/agent:latest")
    (('vault', '1.20.1'), ('', ''))
    """
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    product = next((product for product in ("openbao", "vault") if product in name), "")
    return (product, tag.removeprefix("v")) if product and tag[:1].isdigit() else ("", "")
