"""The rules of listing and watching, one by one: what is asked next, after what was answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from airflow_k8s_vault.watching.failures import ApiError, WatchUnavailable
from airflow_k8s_vault.watching.pauses import Pauses
from airflow_k8s_vault.watching.reflector import Content, List, Pause, Reflector, Step, Watch

SELECTED = {"labelSelector": "ours=yes"}
EXPIRED, REFUSED = ApiError(410, "too old"), ApiError(403, "forbidden")


@dataclass
class Seen:
    """A sink that keeps the names: of the last complete listing, and of each change."""

    complete: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    _listing: list[str] | None = None

    def begin(self) -> None:
        self._listing = []

    def listed(self, content: Content) -> None:
        self.changed("LISTED", content)

    def replace(self) -> None:
        self.complete, self._listing = self._listing or [], None

    def changed(self, kind: str, content: Content) -> None:
        name = msgspec.json.decode(content)["metadata"]["name"]
        (self.changes if self._listing is None else self._listing).append(name)


class Driven:
    """A reflector whose steps are carried out by hand; `step` is the next one."""

    def __init__(self, **settings: Any) -> None:
        self.sink, self.now, self.refusals = Seen(), 0.0, 0
        self.reflector = Reflector(
            self.sink,
            SELECTED,
            clock=lambda: self.now,
            refused=self._refused,
            pauses=Pauses(jitter=lambda: 0),
            **settings,
        )
        self._steps = self.reflector.steps()
        self.step: Step = next(self._steps)

    def _refused(self, failure: ApiError) -> None:
        self.refusals += 1

    def answer(self, content: dict[str, Any] | None = None, after_seconds: float = 0) -> Step:
        self.now += after_seconds
        self.step = self._steps.send(json.dumps(content).encode() if content else None)
        return self.step

    def fail(self, failure: ApiError, after_seconds: float = 0) -> Step:
        self.now += after_seconds
        self.step = self._steps.throw(failure)
        return self.step

    def line(self, kind: str, name: str, version: int, **meta: Any) -> None:
        content = {"metadata": {"name": name, "resourceVersion": str(version), **meta}}
        self.reflector.line(json.dumps({"type": kind, "object": content}).encode())

    def initial_end(self, version: int) -> None:
        self.line("BOOKMARK", "", version, annotations={"k8s.io/initial-events-end": "true"})


def page(version: int, *names: str, more: str = "") -> dict[str, Any]:
    items = [{"metadata": {"name": name, "resourceVersion": "1"}} for name in names]
    return {"metadata": {"resourceVersion": str(version), "continue": more}, "items": items}


def listing() -> Driven:
    """Return one that lists, because the server knows no initial events."""
    driven = Driven()
    driven.fail(ApiError(422, "sendInitialEvents is forbidden"))
    return driven


def watching(version: int = 5) -> Driven:
    driven = listing()
    driven.answer(page(version))
    assert isinstance(driven.step, Watch)
    return driven


def query(step: Step) -> dict[str, str]:
    assert isinstance(step, List | Watch)
    return dict(step.query)


def test_it_begins_with_a_watch_that_sends_all_there_is_and_goes_on_from_the_bookmark_at_its_end() -> None:
    driven = Driven()
    first = query(driven.step)
    driven.line("ADDED", "b", 9)
    driven.line("ADDED", "a", 3)
    driven.initial_end(7)
    driven.line("MODIFIED", "c", 12)
    again = query(driven.answer(after_seconds=300))

    assert {**SELECTED, "watch": "1", "sendInitialEvents": "true"}.items() <= first.items()
    assert ("NotOlderThan", "true") == (first["resourceVersionMatch"], first["allowWatchBookmarks"])
    assert 300 <= int(first["timeoutSeconds"]) <= 600
    assert (["b", "a"], ["c"]) == (driven.sink.complete, driven.sink.changes)
    assert ("12", None) == (again["resourceVersion"], again.get("sendInitialEvents"))


def test_no_version_is_taken_from_the_events_that_stand_for_a_list() -> None:
    driven = Driven()
    driven.line("ADDED", "a", 9)
    driven.line("BOOKMARK", "", 8)
    pause = driven.fail(ApiError(0, "cut"))
    step = driven.answer()

    # What had come is no list, and not replaced by: it lists anew, where it gets on page by page.
    assert isinstance(pause, Pause)
    assert isinstance(step, List)
    assert [] == driven.sink.complete


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_initial_events_is_asked_for_a_list_at_once(status: int) -> None:
    driven = Driven()
    step = driven.fail(ApiError(status, "sendInitialEvents is forbidden"))

    assert isinstance(step, List)


def test_a_list_is_read_at_the_newest_version_page_by_page_and_watched_from_its_own() -> None:
    driven = listing()
    first = query(driven.step)
    second = query(driven.answer(page(5, "a", more="token")))
    watch = query(driven.answer(page(5, "b")))

    assert {**SELECTED, "limit": "200"} == first
    assert {**first, "continue": "token"} == second
    assert (["a", "b"], "5") == (driven.sink.complete, watch["resourceVersion"])


def test_a_page_that_is_there_no_more_begins_the_list_anew() -> None:
    driven = listing()
    driven.answer(page(5, "a", more="token"))
    step = driven.fail(EXPIRED)

    assert isinstance(step, List)
    assert "continue" not in step.query


def test_bookmarks_move_the_version_on() -> None:
    driven = watching()
    driven.line("BOOKMARK", "", 40)

    assert "40" == query(driven.answer(after_seconds=300))["resourceVersion"]


@pytest.mark.parametrize("by_event", [True, False])
def test_an_expired_version_is_forgotten_and_everything_listed(by_event: bool) -> None:
    driven = watching()
    failure = EXPIRED
    if by_event:
        status = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
        with pytest.raises(ApiError) as message:
            driven.reflector.line(json.dumps(status).encode())
        failure = message.value

    assert isinstance(driven.fail(failure, after_seconds=60), List)


def test_a_version_that_a_restored_server_has_not_seen_is_forgotten() -> None:
    body = {"code": 504, "details": {"causes": [{"reason": "ResourceVersionTooLarge"}], "retryAfterSeconds": 1}}
    driven = watching()

    assert isinstance(driven.fail(ApiError.of(json.dumps(body).encode(), 504), after_seconds=60), List)


def test_a_broken_stream_resumes_from_the_last_version() -> None:
    driven = watching()
    driven.line("ADDED", "a", 8)
    step = driven.fail(ApiError(0, "cut"), after_seconds=60)

    assert "8" == query(step)["resourceVersion"]


def test_what_is_no_json_is_not_believed_and_everything_listed() -> None:
    driven = watching()
    with pytest.raises(ApiError) as message:
        driven.reflector.line(b'{"type": "MODIFIED", "obj')

    assert isinstance(driven.fail(message.value, after_seconds=60), List)


def test_retry_after_is_obeyed() -> None:
    driven = watching()
    pause = driven.fail(ApiError.of(b"{}", 429, retry_after="7"))
    step = driven.answer()

    assert Pause(7) == pause
    assert "5" == query(step)["resourceVersion"]


def test_pauses_grow_while_it_fails_and_begin_anew_once_it_lasts() -> None:
    driven = watching()
    pauses = []
    for _ in range(10):
        pauses.append(driven.fail(ApiError(500, "trouble")))
        driven.answer()
    driven.answer(after_seconds=60)
    after = driven.fail(ApiError(500, "trouble"))

    assert [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30] == [
        p.seconds for p in pauses if isinstance(p, Pause)
    ]
    assert Pause(0.2) == after


def test_watches_that_end_at_once_are_no_hot_loop() -> None:
    driven = watching()

    steps = [driven.answer() for _ in range(6)]

    assert [Pause, Watch] * 3 == [type(step) for step in steps]


def test_who_may_not_watch_lists_and_is_told_once_and_tries_again_later() -> None:
    driven = Driven(poll_seconds=lambda: 3)
    steps = [driven.fail(REFUSED)]
    for _ in range(200):
        steps.append(driven.answer(page(5, "a")))
        steps.append(driven.answer(after_seconds=3))
    watch = steps[-1]
    driven.fail(REFUSED)

    assert [List, Pause, List, Pause] == [type(step) for step in steps[:4]]
    assert Pause(3) == steps[1]
    assert isinstance(watch, Watch)
    assert (1, List) == (driven.refusals, type(driven.step))


def test_who_may_do_neither_is_told_so() -> None:
    driven = Driven()
    driven.fail(REFUSED)

    with pytest.raises(WatchUnavailable, match="forbidden"):
        driven.fail(REFUSED)


def test_a_refusal_of_what_was_allowed_is_doubted_for_a_minute() -> None:
    driven = watching()
    driven.line("ADDED", "a", 8)
    doubts = 0
    while driven.now < 59:
        step = driven.fail(REFUSED, after_seconds=10)
        doubts += isinstance(step, Pause)
        driven.answer()
    step = driven.fail(REFUSED, after_seconds=60)

    assert 6 == doubts
    assert (List, 1) == (type(step), driven.refusals)
