"""Paths of Vault: what one may look like, and what its API calls it. Nobody else turns the one into the other.

A path is what `vault kv get` or `vault read` takes, mount first, as text that is not yet encoded for a URL.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

# Nothing of ours needs it; a URL that is longer is refused by proxies, each at its own length.
_LONGEST_BYTES = 4096
# The path in KV 2's API below the mount: of a secret's data, and of what a folder lists.
_DATA, _LIST = "data", "metadata"
# Where a path goes on with one of these after its mount, the agent takes it for the API's own.
_API_FOLDERS = frozenset((_DATA, _LIST, "subkeys"))


class Location(NamedTuple):
    """Where one secret is. mount: without slashes at its ends; "" where only Vault knows where the mount ends."""

    path: str
    mount: str = ""

    @property
    def assumed_mount(self) -> str:
        """The mount, or the first segment, which it is for most."""
        return self.mount or self.path.partition("/")[0]

    @property
    def may_be_taken_for_the_api(self) -> bool:
        """Whether the path, whose mount is not known, could look like one of KV 2's API."""
        return not self.mount and not _API_FOLDERS.isdisjoint(self.path.split("/")[1:-1])


@lru_cache(maxsize=4096)
def errors(path: str) -> tuple[str, ...]:
    """Return what is wrong with a path, each as the end of a sentence that starts with it; empty where nothing is.

    Whatever Vault takes is taken, but for what an HTTP client or a proxy on the way could turn into another path.

    >>> errors("secret/payments/client secret (new)")
    ()
    >>> errors("warehouse")
    ("needs a mount first, then the secret: 'secret/payments/warehouse'",)
    """
    messages = []
    segments = path.split("/")
    if is_templated(path):
        return ("holds Jinja, and paths are not templated: write it out",)
    if len([segment for segment in segments if segment]) < 2:
        messages.append("needs a mount first, then the secret: 'secret/payments/warehouse'")
    elif "" in segments:
        messages.append("has an empty segment: write single slashes, and none at its ends")
    if path != path.strip():
        messages.append("begins or ends with a blank, which `vault` would cut off")
    if any(_climbs(segment) for segment in segments):
        messages.append("has a segment that is '.' or '..', or that a proxy would read as such")
    if "?version=" in path:
        messages.append("holds a query: give version= beside it")
    if not path.isprintable():
        messages.append("holds a character that cannot be printed, which Vault refuses")
    if len(path.encode(errors="surrogatepass")) > _LONGEST_BYTES:
        messages.append(f"is longer than {_LONGEST_BYTES} bytes")
    return tuple(messages)


def is_templated(text: str) -> bool:
    """Whether the text looks as if Airflow were to render it, which it does not."""
    return any(mark in text for mark in ("{{", "}}", "{%", "%}", "{#"))


def kv_data(location: Location, version: int) -> str:
    """Return the API's path of a secret in KV, below /v1/ and not encoded.

    >>> kv_data(Location("kv/team/data/x", "kv/team"), 2), kv_data(Location("secret/data/x", "secret"), 2)
    ('kv/team/data/data/x', 'secret/data/data/x')
    """
    return location.path if version == 1 else _below(location, _DATA)


def kv_list(location: Location, version: int) -> str:
    """Return the API's path of the folder that a secret of KV is in, to list it.

    >>> kv_list(Location("secret/payments/x"), 2), kv_list(Location("secret/x"), 2)
    ('secret/metadata/payments', 'secret/metadata')
    """
    folder = location.path.rpartition("/")[0]
    return folder if version == 1 else _below(Location(folder, location.assumed_mount), _LIST)


def named(api_path: str) -> str:
    """Return the path of a KV 2 secret as a task names it, of one as the API does.

    >>> named("secret/data/payments/data/x")
    'secret/payments/data/x'
    """
    return api_path.replace(f"/{_DATA}/", "/", 1)


def encoded(path: str) -> str:
    """Return a path as it stands in a URL.

    >>> encoded("secret/data/a b?c%41")
    'secret/data/a%20b%3Fc%2541'
    """
    return quote(path, safe="/")


def _below(location: Location, folder: str) -> str:
    mount = location.assumed_mount
    rest = location.path.removeprefix(mount).strip("/")
    return "/".join(part for part in (mount, folder, rest) if part)


def _climbs(segment: str) -> bool:
    """Whether the segment climbs or holds a slash, as it is or once somebody on the way has decoded it."""
    for _ in range(4):
        if segment in (".", "..") or "/" in segment:
            return True
        decoded = unquote(segment)
        if decoded == segment:
            return False
        segment = decoded
    return True
