"""The pods of one namespace as a watch knows them, and who is to be told of which."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.watching import pods
from airflow_k8s_vault.watching.failures import PodGone, WatchUnavailable
from airflow_k8s_vault.watching.pods import Pod
from airflow_k8s_vault.watching.reflector import Content, decoded
from airflow_k8s_vault.watching.subscription import Subscription

_DEFAULT_POLL_SECONDS = 2.0


class PodStore:
    """A reflector's sink that keeps the unfinished pods, by UID.

    look: called with a subscription whose pod it does not know (it may be finished, gone, too new, or have lost
    its labels); what the API server answers to a GET belongs into `looked`. labels: what the watch selects by.
    """

    def __init__(self, namespace: str, labels: Mapping[str, str], look: Callable[[Subscription], None]) -> None:
        self._namespace, self._labels, self._look = namespace, labels, look
        self._pods: dict[str, Pod] = {}
        self._listing: dict[str, Pod] | None = None
        self._is_complete = False
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._refusal: K8sVaultError | None = None

    def subscribe(self, subscription: Subscription) -> None:
        """Tell the subscription all that becomes known of its pod, beginning with the present state."""
        self._subscriptions.setdefault(subscription.uid, []).append(subscription)
        if self._refusal:
            subscription.tell_end(self._refusal)
        elif pod := self._pods.get(subscription.uid):
            subscription.tell(pod)
        elif self._is_complete:
            self._look(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        subscription.tell_end(WatchUnavailable("Nobody wants to know of this pod any more."))
        of_pod = self._subscriptions[subscription.uid]
        of_pod.remove(subscription)
        if not of_pod:
            del self._subscriptions[subscription.uid]

    @property
    def is_used(self) -> bool:
        return bool(self._subscriptions)

    def poll_seconds(self) -> float:
        """Return how often the most impatient subscriber wants to look, where it takes looking."""
        return min((one.poll_seconds for one in self._all()), default=_DEFAULT_POLL_SECONDS)

    def refuse(self, refusal: K8sVaultError) -> None:
        """End all subscriptions, and those to come, with this error."""
        self._refusal = refusal
        for subscription in self._all():
            subscription.tell_end(refusal)

    def looked(self, subscription: Subscription, content: bytes | None) -> bool:
        """Take what a GET of the pod's name answered, None for 404; return whether the watch does not tell of it.

        Raises ApiError where the answer is no pod.
        """
        pod = decoded(pods.pod, content) if content is not None else None
        if content is None or pod is None or pod.metadata.uid != subscription.uid:
            subscription.tell_end(self._gone(subscription.name))
            return False
        subscription.tell(pod)
        labels = pods.labels(content)
        return not pod.is_finished and any(labels.get(key) != value for key, value in self._labels.items())

    # The reflector's sink.

    def begin(self) -> None:
        self._listing = {}
        for subscription in self._all():
            subscription.begin_anew()

    def listed(self, content: Content) -> None:
        self._take(pods.pod(content))

    def replace(self) -> None:
        self._pods, self._listing, self._is_complete = self._listing or {}, None, True
        for subscription in self._all():
            # Also who came in the middle of the listing, and was told what was known before it.
            if pod := self._pods.get(subscription.uid):
                subscription.tell(pod)
            elif not subscription.is_over:
                self._look(subscription)

    def changed(self, kind: str, content: Content) -> None:
        pod = pods.pod(content)
        if kind != "DELETED":
            self._take(pod)
            return
        self._known.pop(pod.metadata.uid, None)
        for subscription in self._subscriptions.get(pod.metadata.uid, ()):
            # Not told at once: this is also sent for a pod that lost the label which is selected by.
            self._look(subscription)

    def _take(self, pod: Pod) -> None:
        if pod.is_finished:
            self._known.pop(pod.metadata.uid, None)
        else:
            self._known[pod.metadata.uid] = pod
        for subscription in self._subscriptions.get(pod.metadata.uid, ()):
            subscription.tell(pod)

    @property
    def _known(self) -> dict[str, Pod]:
        return self._pods if self._listing is None else self._listing

    def _all(self) -> list[Subscription]:
        return [one for of_pod in self._subscriptions.values() for one in of_pod]

    def _gone(self, name: str) -> PodGone:
        return PodGone(f"Pod {self._namespace}/{name} is there no more.")
