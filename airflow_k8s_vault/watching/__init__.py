"""Pods of a cluster, watched together: one request for all of a namespace, for as long as somebody waits for one.

It knows Kubernetes and pods, and nothing of Airflow or Vault.

- `Cluster`: on an event loop, for any number of pods; each `Subscription` is to one of them. They say what is
  delivered, and in which order.
- `FollowedPod`: one pod, by a thread, for a process that waits for one alone.
- `PodGone`, `WatchUnavailable`: how a subscription ends where the pod does not end by itself.
"""

from airflow_k8s_vault.watching.cluster import Cluster
from airflow_k8s_vault.watching.failures import PodGone, WatchUnavailable
from airflow_k8s_vault.watching.followed_pod import FollowedPod
from airflow_k8s_vault.watching.subscription import Subscription

__all__ = ["Cluster", "FollowedPod", "PodGone", "Subscription", "WatchUnavailable"]
