"""Ceilings: which paths of Vault a team's pods may ask for."""

from __future__ import annotations


def covers(ceiling: str, path: str) -> bool:
    """Return whether a ceiling as team.yaml has it covers a path as `vault kv get` takes it.

    `*` stands for any characters within one segment, `/*` at the end for everything below. Takes time in
    proportion to the path, whatever the ceiling.

    >>> covers("secret/payments-*/db", "secret/payments-eu/db"), covers("secret/payments/*", "secret/payments/a/b")
    (True, True)
    >>> covers("secret/*", "secret"), covers("secret/*/db", "secret/a/b/db")
    (False, False)
    """
    below = ceiling.endswith("/*")
    globs, segments = (ceiling[:-2] if below else ceiling).split("/"), path.split("/")
    if len(segments) < len(globs) + below or (len(segments) > len(globs) and not below):
        return False
    # Where the ceiling ends in /*, the rest is covered whatever it holds.
    return all(_fits(glob, segment) for glob, segment in zip(globs, segments, strict=False))


def _fits(glob: str, text: str) -> bool:
    first, *others = glob.split("*")
    if not others:
        return text == first
    *middle, last = others
    if not (text.startswith(first) and text.endswith(last) and len(text) >= len(first) + len(last)):
        return False
    # The earliest place of each part leaves the most room for those that follow: no other has to be tried.
    at, end = len(first), len(text) - len(last)
    for part in middle:
        result = text.find(part, at, end)
        if result < 0:
            return False
        at = result + len(part)
    return True
