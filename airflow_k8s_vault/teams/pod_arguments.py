"""Every argument of KubernetesPodOperator that shapes the pod or its handling, and what a DAG may do with it.

One line of data each; a test walks the operator's signature, so that an argument of a later provider fails it
until someone decides here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Rule = Literal["open", "team", "locked"]


class PodArgument(NamedTuple):
    """open: any DAG may set it. team: a team's `overridable` may open it. locked: no DAG may, ever.

    `fields` are the fields of the pod that it sets, as dotted paths.
    """

    name: str
    rule: Rule
    reason: str
    fields: tuple[str, ...] = ()


ALLOW_LITERALS = "allow_literals"
_BASE = "spec.containers[base]"

POD_ARGUMENTS = (
    # What the container runs.
    PodArgument("cmds", "team", "the command of the base container", (f"{_BASE}.command",)),
    PodArgument("arguments", "team", "the arguments of the base container", (f"{_BASE}.args",)),
    PodArgument("env_vars", "team", "literal environment variables", (f"{_BASE}.env",)),
    PodArgument("labels", "team", "labels of the pod", ("metadata.labels",)),
    PodArgument("annotations", "team", "annotations, which other controllers act on", ("metadata.annotations",)),
    PodArgument("container_resources", "team", "requests and limits", (f"{_BASE}.resources",)),
    PodArgument("name", "team", "the pod's name", ("metadata.name",)),
    PodArgument("image", "team", "one of the team's images", (f"{_BASE}.image",)),
    PodArgument("image_pull_policy", "team", "when the image is pulled", (f"{_BASE}.imagePullPolicy",)),
    PodArgument("ports", "team", "ports of the base container", (f"{_BASE}.ports",)),
    # Where it runs.
    PodArgument("node_selector", "team", "node placement", ("spec.nodeSelector",)),
    PodArgument("affinity", "team", "node placement", ("spec.affinity",)),
    PodArgument("tolerations", "team", "node placement", ("spec.tolerations",)),
    PodArgument("priority_class_name", "team", "scheduling priority", ("spec.priorityClassName",)),
    PodArgument("schedulername", "team", "the scheduler", ("spec.schedulerName",)),
    PodArgument("hostname", "team", "the pod's own host name", ("spec.hostname",)),
    PodArgument("subdomain", "team", "the pod's own DNS name", ("spec.subdomain",)),
    # Storage and further containers: the final check still refuses host paths, credentials and foreign images.
    PodArgument("volumes", "team", "volumes of the pod", ("spec.volumes",)),
    PodArgument("volume_mounts", "team", "mounts of the base container", (f"{_BASE}.volumeMounts",)),
    PodArgument("init_containers", "team", "further containers", ("spec.initContainers",)),
    PodArgument("configmaps", "team", "environment from ConfigMaps", (f"{_BASE}.envFrom",)),
    PodArgument("pod_runtime_info_envs", "team", "environment from the pod's own fields", (f"{_BASE}.env",)),
    # Timing of the pod itself.
    PodArgument("active_deadline_seconds", "open", "an earlier end", ("spec.activeDeadlineSeconds",)),
    PodArgument(
        "termination_grace_period", "team", "how long a kill may take", ("spec.terminationGracePeriodSeconds",)
    ),
    PodArgument(
        "termination_message_policy",
        "open",
        "where the last words come from",
        (f"{_BASE}.terminationMessagePolicy",),
    ),
    # Whose pod it is, and how isolated: only the platform says that.
    PodArgument("namespace", "locked", "the team's file sets it", ("metadata.namespace",)),
    PodArgument("service_account_name", "locked", "the team's file sets it", ("spec.serviceAccountName",)),
    PodArgument(
        "automount_service_account_token",
        "locked",
        "it would hand the pod a Kubernetes credential",
        ("spec.automountServiceAccountToken",),
    ),
    PodArgument("security_context", "locked", "the template sets it", ("spec.securityContext",)),
    PodArgument("container_security_context", "locked", "the template sets it", (f"{_BASE}.securityContext",)),
    PodArgument("hostnetwork", "locked", "it would leave the pod's own network", ("spec.hostNetwork",)),
    PodArgument("host_aliases", "locked", "it would redirect names, Vault's among them", ("spec.hostAliases",)),
    PodArgument("dnspolicy", "locked", "it would redirect names, Vault's among them", ("spec.dnsPolicy",)),
    PodArgument("dns_config", "locked", "it would redirect names, Vault's among them", ("spec.dnsConfig",)),
    PodArgument("runtime_class_name", "locked", "it chooses the sandbox", ("spec.runtimeClassName",)),
    PodArgument("image_pull_secrets", "locked", "it names a credential", ("spec.imagePullSecrets",)),
    PodArgument("env_from", "locked", "it can name any Secret of the namespace", (f"{_BASE}.envFrom",)),
    PodArgument("secrets", "locked", "credentials come by vault_secrets", ()),
    # Ways to bring a whole pod past the template.
    PodArgument("full_pod_spec", "locked", "the pod comes from pod_template"),
    PodArgument("pod_template_file", "locked", "the pod comes from pod_template"),
    PodArgument("pod_template_dict", "locked", "the pod comes from pod_template"),
    PodArgument("callbacks", "locked", "a callback can edit the pod as it is created"),
    PodArgument("progress_callback", "locked", "it sees every line of the log with the worker's rights"),
    PodArgument("log_formatter", "open", "how log lines look"),
    PodArgument("trigger_kwargs", "locked", "it reaches the trigger past every check"),
    PodArgument("base_container_name", "locked", "the checks and the secrets go by the name 'base'"),
    PodArgument("xcom_sidecar_container_security_context", "locked", "the package sets it"),
    # Which cluster.
    PodArgument("kubernetes_conn_id", "team", "it chooses the cluster"),
    PodArgument("in_cluster", "locked", "it chooses the cluster"),
    PodArgument("cluster_context", "locked", "it chooses the cluster"),
    PodArgument("config_file", "locked", "it chooses the cluster"),
    # How Airflow follows the pod.
    PodArgument("on_finish_action", "team", "whether the pod outlives its task"),
    PodArgument("on_kill_action", "locked", "a killed task's pod, and its credentials, must go"),
    PodArgument("is_delete_operator_pod", "locked", "deprecated: use on_finish_action"),
    PodArgument("log_pod_spec_on_failure", "locked", "the package keeps pod specs out of logs"),
    PodArgument("random_name_suffix", "locked", "two runs must never share a pod"),
    PodArgument("reattach_on_restart", "open", "whether a retry finds its pod again"),
    PodArgument("durable", "open", "whether a retry finds its pod again"),
    PodArgument("startup_timeout_seconds", "open", "how long a start may take"),
    PodArgument("startup_check_interval_seconds", "open", "how often Airflow looks"),
    PodArgument("schedule_timeout_seconds", "open", "how long scheduling may take"),
    PodArgument("get_logs", "open", "which logs Airflow shows"),
    PodArgument("init_container_logs", "open", "which logs Airflow shows"),
    PodArgument("container_logs", "open", "which logs Airflow shows"),
    PodArgument("container_name_log_prefix_enabled", "open", "how log lines look"),
    PodArgument("logging_interval", "open", "how often a deferred task shows its log"),
    PodArgument("log_events_on_failure", "open", "which events Airflow shows"),
    PodArgument("log_events_on_startup", "open", "which events Airflow shows"),
    PodArgument("base_container_status_polling_interval", "open", "how often Airflow looks"),
    PodArgument("poll_interval", "open", "how often Airflow looks"),
    PodArgument("skip_on_exit_code", "open", "which exit code means skipped"),
    PodArgument("deferrable", "open", "where Airflow waits"),
    PodArgument("do_xcom_push", "open", "whether the result file becomes an XCom"),
    # VaultPodOperator's own, beside those of KubernetesPodOperator.
    PodArgument(ALLOW_LITERALS, "team", "whether text that looks like a credential may stand in the pod"),
)

POD_ARGUMENTS_BY_NAME = {argument.name: argument for argument in POD_ARGUMENTS}
OPENABLE = tuple(argument.name for argument in POD_ARGUMENTS if argument.rule == "team")
