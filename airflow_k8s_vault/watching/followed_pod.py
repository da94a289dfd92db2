"""One pod, followed by a thread: for a process that waits for one alone, with Kubernetes' synchronous client."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from kubernetes.client import ApiClient, ApiException
from urllib3.exceptions import HTTPError

from airflow_k8s_vault.watching import pods
from airflow_k8s_vault.watching.client import CONNECT_SECONDS, SILENCE_SECONDS
from airflow_k8s_vault.watching.failures import ApiError, WatchUnavailable
from airflow_k8s_vault.watching.outage import Outage
from airflow_k8s_vault.watching.reflector import Content, List, Pause, Reflector, Step, Watch

log = logging.getLogger(__name__)

_CHUNK_BYTES = 2**16


class FollowedPod:
    """The newest state of one pod, watched from the state on that is given: V1Pod, with its UID and version.

    States come in the order in which the API server made them; those between two looks are left out. It is never
    another pod: one of the same name with another UID ends it. `is_followed` is False from then on, and where the
    pod is gone, may not be watched, or the server has not answered for ten minutes: who wants to know more has to
    ask the API server. `changes` counts the states. Its methods may be called in any thread.
    """

    def __init__(self, api: ApiClient, pod: Any) -> None:
        meta = pod.metadata
        self.name, self.namespace, self.uid = meta.name, meta.namespace, meta.uid
        self.is_followed, self.changes = True, 0
        self._newest: Any = pod
        self._content: bytes | None = None
        # Of its own: kubernetes.stream puts another function into a client while it opens an exec.
        self._api = ApiClient(api.configuration, cookie=api.cookie)
        self._api.default_headers.update(api.default_headers)
        self._changed = threading.Condition()
        self._listener: Callable[[], object] | None = None
        self._is_listed = False
        self._stopping = threading.Event()
        self._answer: Any = None
        selector = {"fieldSelector": f"metadata.name={self.name}"}
        self._reflector = Reflector(self, selector, meta.resource_version)
        self._outage = Outage(f"pod {self.namespace}/{self.name}", time.monotonic)
        threading.Thread(target=self._run, name=f"watch of {self.name}", daemon=True).start()

    @property
    def newest(self) -> Any:
        """Return the newest state that is known, as V1Pod."""
        with self._changed:
            if self._content is not None:
                # Only now: most states nobody looks at.
                self._newest = self._api.deserialize(SimpleNamespace(data=self._content), "V1Pod")
                self._content = None
            return self._newest

    def wait(self, changes: int, seconds: float | None = None) -> None:
        """Return when there have been more changes, when it is not followed any more, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self.changes != changes or not self.is_followed, seconds)

    def listen(self, listener: Callable[[], object] | None) -> None:
        """Call this after each change, in the watching thread; None: nothing any more."""
        with self._changed:
            self._listener = listener

    def close(self) -> None:
        """Stop to watch."""
        self._stopping.set()
        self._end()
        # It may end by itself at this very moment, in its own thread; then there is nothing to do.
        with contextlib.suppress(Exception):
            if (answer := self._answer) is not None:
                # From another thread it takes this to end a read; only the newest urllib3 has it.
                getattr(answer, "shutdown", answer.close)()

    # The thread.

    def _run(self) -> None:
        try:
            self._follow()
        except WatchUnavailable as refusal:
            log.warning(
                "Pod %s/%s is not watched, but read again and again: %s", self.namespace, self.name, refusal
            )
        except Exception:
            if not self._stopping.is_set():
                log.exception("The watch of pod %s/%s has a defect: it is read instead", self.namespace, self.name)
        finally:
            self._end()

    def _follow(self) -> None:
        steps = self._reflector.steps()
        step = next(steps)
        while self.is_followed:
            try:
                answer = self._carried_out(step)
            except ApiError as failure:
                if failure.status in (401, 403):
                    raise WatchUnavailable(f"{failure}. It takes the verb 'watch' on 'pods'.") from None
                self._outage.failed(failure)
                step = steps.throw(failure)
            else:
                step = steps.send(answer)

    def _carried_out(self, step: Step) -> bytes | None:
        if isinstance(step, Pause):
            self._stopping.wait(step.seconds)
            return None
        try:
            self._answer = self._sent(step.query)
            if isinstance(step, List):
                return bytes(self._answer.read())
            self._watch(step)
        except ApiException as refusal:
            body = (refusal.body or "").encode() if isinstance(refusal.body, str) else refusal.body or b""
            raise ApiError.of(body, refusal.status or 0, (refusal.headers or {}).get("Retry-After")) from None
        except (HTTPError, OSError) as broken:
            raise ApiError(0, f"{type(broken).__name__}: {broken}") from None
        finally:
            self._answer = None
        return None

    def _sent(self, query: Mapping[str, str]) -> Any:
        return self._api.call_api(
            f"/api/v1/namespaces/{self.namespace}/pods",
            "GET",
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
        )

    def _watch(self, step: Watch) -> None:
        begun = b""
        with self._answer as answer:
            while self.is_followed and (chunk := answer.read1(_CHUNK_BYTES)):
                *whole, begun = (begun + chunk).split(b"\n")
                for line in filter(None, whole):
                    self._reflector.line(line)
                    self._outage.over()

    # The reflector's sink.

    def begin(self) -> None:
        self._is_listed = False

    def listed(self, content: Content) -> None:
        self.changed("ADDED", content)

    def replace(self) -> None:
        if not self._is_listed:
            self._end()

    def changed(self, kind: str, content: Content) -> None:
        if pods.pod(content).metadata.uid != self.uid:
            return
        if kind == "DELETED":
            self._end()
            return
        self._is_listed = True
        with self._changed:
            self._content = bytes(content)
            self.changes += 1
        self._tell()

    def _end(self) -> None:
        self.is_followed = False
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
            listener = self._listener
        if listener is not None:
            listener()
