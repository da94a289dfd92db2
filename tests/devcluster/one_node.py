"""One node in a test's own event loop: a store and a kubelet, and short ways to make and watch pods on it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from k8s_vault_devcluster.kubelet import Kubelet
from k8s_vault_devcluster.kubelet.logs import LogOptions
from k8s_vault_devcluster.node import NODE_NAME, node
from k8s_vault_devcluster.store import NotFound, Object, Store
from k8s_vault_devcluster.tokens import Tokens


def sh(script: str, name: str = "base", image: str = "alpine:3.24.2", **fields: Any) -> Object:
    """Return a container that runs a shell script as its PID 1."""
    return {"name": name, "image": image, "command": ["sh", "-c", script], **fields}


def secret(name: str, **values: str) -> Object:
    import base64

    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"metadata": {"name": name, "namespace": "test"}, "data": data}


class OneNode:
    """`kubelet` runs while the test does. Pauses of back-offs are 0.2 s here instead of 10."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, Store()
        self.store.create("nodes", node("127.0.0.1"))
        self.store.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "test"}})
        self.tokens = Tokens(self.store, "https://127.0.0.1:6443")
        self.kubelet = Kubelet(
            self.store, self.tokens, root, backoff_seconds=0.2, images=root.with_name("images.json")
        )

    def pod(self, *containers: Object, name: str = "pod", **spec: Any) -> Object:
        """Create a pod that is bound to the node; restartPolicy Never, 2 s of grace."""
        fixed = {"nodeName": NODE_NAME, "restartPolicy": "Never", "terminationGracePeriodSeconds": 2}
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        return self.store.create(
            "pods",
            {
                "metadata": {"name": name, "namespace": "test", "generation": 1, "labels": {"team": "payments"}},
                "spec": fixed | {"containers": list(containers)} | spec,
                "status": {"phase": "Pending", "conditions": [scheduled]},
            },
        )

    def status(self, name: str = "pod") -> Object:
        return dict(self.store.get("pods", "test", name)["status"])

    def container(self, container: str = "base", name: str = "pod") -> Object:
        status = self.status(name)
        matches = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        return next((item for item in matches if item["name"] == container), {"state": {}, "lastState": {}})

    async def until(self, met: Callable[[], Any], timeout_seconds: float = 120) -> Any:
        """Return the first true value of `met`."""
        deadline = time.monotonic() + timeout_seconds
        while not (value := met()):
            assert time.monotonic() < deadline, self.store.list("pods")
            await asyncio.sleep(0.005)
        return value

    async def phase(self, *phases: str, name: str = "pod") -> Object:
        """Return the status once the pod's phase is one of these."""
        return dict(await self.until(lambda: (s := self.status(name)).get("phase") in phases and s))

    async def over(self, name: str = "pod") -> Object:
        return await self.phase("Succeeded", "Failed", name=name)

    async def waiting(self, reason: str, container: str = "base") -> Object:
        """Return the waiting state once it has this reason."""
        state = lambda: self.container(container)["state"].get("waiting", {})  # noqa: E731
        return dict(await self.until(lambda: state().get("reason") == reason and state()))

    async def gone(self, name: str = "pod") -> None:
        def met() -> bool:
            with contextlib.suppress(NotFound):
                self.store.get("pods", "test", name)
                return False
            return True

        await self.until(met)

    def delete(self, name: str = "pod", grace: int = 2) -> None:
        """Mark the pod as the API does on a deletion with grace."""
        marks = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace}
        self.store.update("pods", "test", name, lambda pod: pod["metadata"].update(marks))

    async def log(self, container: str = "base", name: str = "pod", previous: bool = False, **options: Any) -> str:
        chunks = self.kubelet.logs("test", name, container, LogOptions(**options), previous=previous)
        return b"".join([chunk async for chunk in chunks]).decode()

    async def output(self, script: str, image: str = "alpine:3.24.2", **spec: Any) -> str:
        """Return what a pod of one container wrote."""
        fields = spec.pop("container", {})
        self.pod(sh(script, image=image, **fields), **spec)
        await self.over()
        return await self.log()

    async def exec(self, *command: str, name: str = "pod", stdin: bytes | None = None) -> tuple[int, str, str]:
        process = await self.kubelet.exec("test", name, "base", list(command), stdin=stdin is not None, tty=False)
        out, err = await process.communicate(stdin)
        return process.returncode or 0, out.decode(), err.decode()

    def events(self) -> list[tuple[str, str]]:
        return [(event["reason"], event["message"]) for event in self.store.list("events", "test")]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[OneNode]:
        task = asyncio.create_task(self.kubelet.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def on_one_node(test: Callable[[OneNode], Awaitable[None]]) -> Callable[[Path], None]:
    """Run an async test with a node of its own."""

    def run(tmp_path: Path) -> None:
        async def main() -> None:
            async with OneNode(tmp_path / "node").running() as one:
                await test(one)

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
