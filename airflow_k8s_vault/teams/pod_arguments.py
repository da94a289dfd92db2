"""Every argument of KubernetesPodOperator that shapes the pod or its handling, and what a DAG may do with it.

One line of data each; a test walks the operator's signature, so that an argument of a later provider fails it
until someone decides here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Rule = Literal["open", "team", "locked"]


class Argument(NamedTuple):
    """open: any DAG may set it. team: a team's `overridable` may open it. locked: no DAG may, ever.

    `fields` are the fields of the pod that it sets, as dotted paths.
    """

    name: str
    rule: Rule
    reason: str
    fields: tuple[str, ...] = ()


ALLOW_LITERALS = "allow_literals"
_BASE = "spec.containers[base]"

ARGUMENTS = (
    # What the container runs.
    Argument("cmds", "team", "the command of the base container", (f"{_BASE}.command",)),
    Argument("arguments", "team", "the arguments of the base container", (f"{_BASE}.args",)),
    Argument("env_vars", "team", "literal environment variables", (f"{_BASE}.env",)),
    Argument("labels", "team", "labels of the pod", ("metadata.labels",)),
    Argument("annotations", "team", "annotations, which other controllers act on", ("metadata.annotations",)),
    Argument("container_resources", "team", "requests and limits", (f"{_BASE}.resources",)),
    Argument("name", "team", "the pod's name", ("metadata.name",)),
    Argument("image", "team", "one of the team's images", (f"{_BASE}.image",)),
    Argument("image_pull_policy", "team", "when the image is pulled", (f"{_BASE}.imagePullPolicy",)),
    Argument("ports", "team", "ports of the base container", (f"{_BASE}.ports",)),
    # Where it runs.
    Argument("node_selector", "team", "node placement", ("spec.nodeSelector",)),
    Argument("affinity", "team", "node placement", ("spec.affinity",)),
    Argument("tolerations", "team", "node placement", ("spec.tolerations",)),
    Argument("priority_class_name", "team", "scheduling priority", ("spec.priorityClassName",)),
    Argument("schedulername", "team", "the scheduler", ("spec.schedulerName",)),
    Argument("hostname", "team", "the pod's own host name", ("spec.hostname",)),
    Argument("subdomain", "team", "the pod's own DNS name", ("spec.subdomain",)),
    # Storage and further containers: the final check still refuses host paths, credentials and foreign images.
    Argument("volumes", "team", "volumes of the pod", ("spec.volumes",)),
    Argument("volume_mounts", "team", "mounts of the base container", (f"{_BASE}.volumeMounts",)),
    Argument("init_containers", "team", "further containers", ("spec.initContainers",)),
    Argument("configmaps", "team", "environment from ConfigMaps", (f"{_BASE}.envFrom",)),
    Argument("pod_runtime_info_envs", "team", "environment from the pod's own fields", (f"{_BASE}.env",)),
    # Timing of the pod itself.
    Argument("active_deadline_seconds", "open", "an earlier end", ("spec.activeDeadlineSeconds",)),
    Argument(
        "termination_grace_period", "team", "how long a kill may take", ("spec.terminationGracePeriodSeconds",)
    ),
    Argument(
        "termination_message_policy",
        "open",
        "where the last words come from",
        (f"{_BASE}.terminationMessagePolicy",),
    ),
    # Whose pod it is, and how isolated: only the platform says that.
    Argument("namespace", "locked", "the team's file sets it", ("metadata.namespace",)),
    Argument("service_account_name", "locked", "the team's file sets it", ("spec.serviceAccountName",)),
    Argument(
        "automount_service_account_token",
        "locked",
        "it would hand the pod a Kubernetes credential",
        ("spec.automountServiceAccountToken",),
    ),
    Argument("security_context", "locked", "the template sets it", ("spec.securityContext",)),
    Argument("container_security_context", "locked", "the template sets it", (f"{_BASE}.securityContext",)),
    Argument("hostnetwork", "locked", "it would leave the pod's own network", ("spec.hostNetwork",)),
    Argument("host_aliases", "locked", "it would redirect names, Vault's among them", ("spec.hostAliases",)),
    Argument("dnspolicy", "locked", "it would redirect names, Vault's among them", ("spec.dnsPolicy",)),
    Argument("dns_config", "locked", "it would redirect names, Vault's among them", ("spec.dnsConfig",)),
    Argument("runtime_class_name", "locked", "it chooses the sandbox", ("spec.runtimeClassName",)),
    Argument("image_pull_secrets", "locked", "it names a credential", ("spec.imagePullSecrets",)),
    Argument("env_from", "locked", "it can name any Secret of the namespace", (f"{_BASE}.envFrom",)),
    Argument("secrets", "locked", "credentials come by vault_secrets", ()),
    # Ways to bring a whole pod past the template.
    Argument("full_pod_spec", "locked", "the pod comes from pod_template"),
    Argument("pod_template_file", "locked", "the pod comes from pod_template"),
    Argument("pod_template_dict", "locked", "the pod comes from pod_template"),
    Argument("callbacks", "locked", "a callback can edit the pod as it is created"),
    Argument("progress_callback", "locked", "it sees every line of the log with the worker's rights"),
    Argument("log_formatter", "open", "how log lines look"),
    Argument("trigger_kwargs", "locked", "it reaches the trigger past every check"),
    Argument("base_container_name", "locked", "the checks and the secrets go by the name 'base'"),
    Argument("xcom_sidecar_container_security_context", "locked", "the package sets it"),
    # Which cluster.
    Argument("kubernetes_conn_id", "team", "it chooses the cluster"),
    Argument("in_cluster", "locked", "it chooses the cluster"),
    Argument("cluster_context", "locked", "it chooses the cluster"),
    Argument("config_file", "locked", "it chooses the cluster"),
    # How Airflow follows the pod.
    Argument("on_finish_action", "team", "whether the pod outlives its task"),
    Argument("on_kill_action", "locked", "a killed task's pod, and its credentials, must go"),
    Argument("is_delete_operator_pod", "locked", "deprecated: use on_finish_action"),
    Argument("log_pod_spec_on_failure", "locked", "the package keeps pod specs out of logs"),
    Argument("random_name_suffix", "locked", "two runs must never share a pod"),
    Argument("reattach_on_restart", "open", "whether a retry finds its pod again"),
    Argument("durable", "open", "whether a retry finds its pod again"),
    Argument("startup_timeout_seconds", "open", "how long a start may take"),
    Argument("startup_check_interval_seconds", "open", "how often Airflow looks"),
    Argument("schedule_timeout_seconds", "open", "how long scheduling may take"),
    Argument("get_logs", "open", "which logs Airflow shows"),
    Argument("init_container_logs", "open", "which logs Airflow shows"),
    Argument("container_logs", "open", "which logs Airflow shows"),
    Argument("container_name_log_prefix_enabled", "open", "how log lines look"),
    Argument("logging_interval", "open", "how often a deferred task shows its log"),
    Argument("log_events_on_failure", "open", "which events Airflow shows"),
    Argument("log_events_on_startup", "open", "which events Airflow shows"),
    Argument("base_container_status_polling_interval", "open", "how often Airflow looks"),
    Argument("poll_interval", "open", "how often Airflow looks"),
    Argument("skip_on_exit_code", "open", "which exit code means skipped"),
    Argument("deferrable", "open", "where Airflow waits"),
    Argument("do_xcom_push", "open", "whether the result file becomes an XCom"),
    # VaultPodOperator's own, beside those of KubernetesPodOperator.
    Argument(ALLOW_LITERALS, "team", "whether text that looks like a credential may stand in the pod"),
)

BY_NAME = {argument.name: argument for argument in ARGUMENTS}
OPENABLE = tuple(argument.name for argument in ARGUMENTS if argument.rule == "team")
