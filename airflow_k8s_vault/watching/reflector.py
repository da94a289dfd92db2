"""List, then watch from there, for ever: what to ask an API server next, and what its answers mean.

No input or output here: a driver carries out each step and gives back what came of it (see `Reflector.steps`), so
that one process can do it on an event loop, another in a thread, and a test with neither. The rules are
Kubernetes' own and those of client-go's Reflector:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from airflow_k8s_vault.watching.failures import ApiError, WatchUnavailable
from airflow_k8s_vault.watching.pauses import Pauses

# About 2 MB of JSON: parsed between two turns of an event loop, that keeps the others waiting for less than 0.1 s.
PAGE_SIZE = 200
# As client-go. Without a limit of the client's, watches would all end at once when a server wants them to.
WATCH_SECONDS = 300
# A watch that lasted so long was a sound one: the next one needs no pause.
_SOUND_SECONDS = 10
# For how long a refusal of what was allowed before is not believed: a starting API server may not know roles yet.
_DOUBT_SECONDS = 60
# How often who may not watch looks whether that has changed.
_WATCH_AGAIN_SECONDS = 600
_INITIAL_END = "k8s.io/initial-events-end"

Content = bytes | msgspec.Raw
T = TypeVar("T")


@dataclass(frozen=True)
class List:
    """GET the collection with this query; the answer is a page of it."""

    query: Mapping[str, str]


@dataclass(frozen=True)
class Watch:
    """GET the collection with this query, and give each line of the answer to `Reflector.line` until it ends."""

    query: Mapping[str, str]


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


Step = List | Watch | Pause
Steps = Generator[Step, bytes | None, None]


class Sink(Protocol):
    """Takes the objects, each as JSON. Raises msgspec.DecodeError where one is not what it should be."""

    def begin(self) -> None:
        """Begin a listing; one that was under way is void."""

    def listed(self, content: Content) -> None:
        """Take an object of the listing."""

    def replace(self) -> None:
        """End the listing: what was not in it is not there."""

    def changed(self, kind: str, content: Content) -> None:
        """Take a change, ADDED, MODIFIED or DELETED, which may come in the middle of a listing."""


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    annotations: dict[str, str] | None = None


class _Object(msgspec.Struct):
    metadata: _Meta


class _Page(msgspec.Struct):
    metadata: _Meta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


_OBJECT, _PAGE, _EVENT = msgspec.json.Decoder(_Object), msgspec.json.Decoder(_Page), msgspec.json.Decoder(_Event)


@dataclass
class Reflector:
    """Keeps `sink` as the server is.

    selectors: labelSelector and fieldSelector of each request. version: where to begin to watch; "" to list first.
    poll_seconds: returns how often to list where watching is refused; refused: told of that refusal, once.
    clock: returns seconds, of any beginning.
    """

    sink: Sink
    selectors: Mapping[str, str]
    version: str = ""
    poll_seconds: Callable[[], float] = lambda: 2.0
    refused: Callable[[ApiError], None] = lambda failure: None
    clock: Callable[[], float] = time.monotonic
    pauses: Pauses = field(default_factory=Pauses)
    page_size: int = PAGE_SIZE

    _streams_lists: bool = field(default=True, init=False)
    _listing: bool = field(default=False, init=False)
    _listed_at: float = field(default=float("-inf"), init=False)
    _may_watch: bool = field(default=True, init=False)
    _allowed: set[type] = field(default_factory=set, init=False)
    _refused_since: float | None = field(default=None, init=False)
    _informed: bool = field(default=False, init=False)
    _step: Step = field(default=Pause(0), init=False)

    def steps(self) -> Steps:
        """Yield what to do next, for ever. Send a List's answer, and None after the others; throw ApiError in.

        Raises WatchUnavailable where neither watching nor listing is allowed.
        """
        while True:
            began = self.clock()
            try:
                yield from self._round()
                pause_seconds = self._between_watches(began) if self._may_watch else 0
            except ApiError as failure:
                pause_seconds = self._after(failure, began)
            if pause_seconds:
                yield Pause(pause_seconds)

    def line(self, content: Content) -> None:
        """Take a line of the watch that is open. Raises ApiError, which belongs thrown into `steps`."""
        self._is_allowed()
        event = decoded(_EVENT.decode, content)
        if event.type in ("ADDED", "MODIFIED", "DELETED"):
            decoded(lambda changed: self.sink.changed(event.type, changed), event.object)
            # Versions of the events that stand for a list are in no order: the bookmark at their end is the first.
            if not self._listing:
                self.version = decoded(_OBJECT.decode, event.object).metadata.resource_version
        elif event.type == "BOOKMARK":
            self._bookmark(decoded(_OBJECT.decode, event.object).metadata)
        elif event.type == "ERROR":
            raise ApiError.of(event.object)

    def _bookmark(self, meta: _Meta) -> None:
        if not self._listing:
            self.version = meta.resource_version
        elif (meta.annotations or {}).get(_INITIAL_END) == "true":
            self._replace(meta.resource_version)

    def _do(self, step: Step) -> Generator[Step, bytes | None, bytes]:
        self._step = step
        answer = yield step
        self._is_allowed()
        return answer or b""

    def _is_allowed(self) -> None:
        self._allowed.add(type(self._step))
        self._refused_since = None

    def _round(self) -> Steps:
        """Do one watch, with the listing that it needs; or one listing, where watching is refused."""
        self._listing = False
        if not self._may_watch:
            yield from self._polled()
        elif self.version:
            yield from self._watched({"resourceVersion": self.version})
        elif self._streams_lists:
            yield from self._streamed()
        else:
            yield from self._listed()
            yield from self._watched({"resourceVersion": self.version})

    def _watched(self, query: Mapping[str, str]) -> Steps:
        seconds = str(int(WATCH_SECONDS * (1 + random.random())))  # noqa: S311 - spreads the load
        options = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        yield from self._do(Watch({**self.selectors, **options, **query}))

    def _streamed(self) -> Steps:
        """List by a watch that begins with all there is: less work for the server, and no page for us."""
        self._begin()
        try:
            yield from self._watched({"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"})
        except ApiError as failure:
            # A server without it answers 422. Any other trouble: a list gets on where this would begin anew.
            self._streams_lists = not self._listing or failure.status in (401, 403, 429)
            raise
        self._streams_lists = not self._listing

    def _listed(self) -> Steps:
        """List at the newest version, page by page: one that is read from a cache may lack what is there."""
        self._begin()
        query = {**self.selectors, "limit": str(self.page_size)}
        more = True
        while more:
            page = decoded(_PAGE.decode, (yield from self._do(List(dict(query)))))
            for item in page.items or ():
                decoded(self.sink.listed, item)
            query["continue"] = page.metadata.continue_
            more = bool(page.metadata.continue_)
        self._replace(page.metadata.resource_version)

    def _polled(self) -> Steps:
        until = self.clock() + _WATCH_AGAIN_SECONDS
        while self.clock() < until:
            yield from self._listed()
            yield Pause(self.poll_seconds())
        self._may_watch = True

    def _begin(self) -> None:
        self._listing = True
        self.sink.begin()

    def _replace(self, version: str) -> None:
        self._listing = False
        self.sink.replace()
        self.version, self._listed_at = version, self.clock()

    def _between_watches(self, began: float) -> float:
        """Return how many seconds to wait after a watch that was cut or has ended."""
        if self.clock() - began >= _SOUND_SECONDS:
            self.pauses.reset()
            return 0
        # One that ends at once, again and again, must not become a hot loop.
        return self.pauses.next()

    def _after(self, failure: ApiError, began: float) -> float:
        """Draw the consequences; return how many seconds to wait before the next round."""
        if failure.status == 403:
            return self._after_refusal(failure)
        if failure.is_of_version:
            self.version = ""
            # At once, unless that is what was just done.
            return self.pauses.next() if self.clock() - self._listed_at < _SOUND_SECONDS else 0
        if failure.status == 0 and isinstance(self._step, Watch):
            return self._between_watches(began)
        return max(failure.retry_after_seconds, self.pauses.next())

    def _after_refusal(self, failure: ApiError) -> float:
        now = self.clock()
        self._refused_since = now if self._refused_since is None else self._refused_since
        if type(self._step) in self._allowed and now - self._refused_since < _DOUBT_SECONDS:
            return self.pauses.next()
        if isinstance(self._step, List):
            raise WatchUnavailable(str(failure)) from failure
        if not self._informed:
            self._informed = True
            self.refused(failure)
        self._may_watch = False
        return 0


def decoded(decode: Callable[[Any], T], content: Content) -> T:
    """Return what `decode` makes of it. Raises ApiError where that is not what a Kubernetes API server sends."""
    try:
        return decode(content)
    except msgspec.DecodeError as error:
        message = f"The API server sent what is no object of Kubernetes: {error}"
        raise ApiError(0, message, is_of_version=True) from None
