"""What team.yaml and platform.yaml may hold: one line of data a key. Checks and JSON Schema are read from it."""

from __future__ import annotations

from airflow_k8s_vault import image_reference, quantity
from airflow_k8s_vault.teams.key import Key
from airflow_k8s_vault.teams.pod_arguments import OPENABLE

POD_SECURITY = ("privileged", "baseline", "restricted")

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_SUBDOMAIN = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_QUANTITY = quantity.PATTERN
# As Vault writes them. None is zero, which to Vault is no limit.
_DURATION = r"[1-9][0-9]*([dhms]([0-9]+[hms])*)?"
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV6 = r"[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){1,8}/(12[0-8]|1[01][0-9]|[1-9]?[0-9])"
_CIDR = rf"({_OCTET}(\.{_OCTET}){{3}}/(3[0-2]|[12]?[0-9])|{_IPV6})"
_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
# `{team}` stands for the team's name, where each team has workers of its own.
# A cloud's identity is no service account but a user, called what the cloud or its access entry calls it.
# Kubernetes keeps names with system: for itself.
_ACCOUNT = r"([a-z0-9{}-]{1,63})/([a-z0-9{}.-]{1,253})|user:(?!system:)[!-~]{1,253}"
# A ceiling: the mount is literal, `*` is the only wildcard.
# Other wildcards than * are nobody's here, and who writes one means it.
_NO_DOTS, _IN_SEGMENT = r"(?!\.{1,2}(/|$))", r"/?\[\]{}\x00-\x1f\x7f"
_CEILING = rf"{_NO_DOTS}[^*{_IN_SEGMENT}]+(/{_NO_DOTS}[^{_IN_SEGMENT}]+)+"


_OVERRIDABLE = Key(
    "overridable",
    "list",
    "a KubernetesPodOperator argument that can be opened",
    "KubernetesPodOperator arguments that a DAG may set. All others that shape the pod are locked.",
    choices=OPENABLE,
)
_POD_SECURITY = Key(
    "pod_security",
    "text",
    f"one of {', '.join(POD_SECURITY)}",
    "Pod Security Standard that every pod has to meet. A team can only be stricter than the platform.",
    choices=POD_SECURITY,
)

_A_QUANTITY = "a quantity of Kubernetes (500m, 2, 4Gi)"
_A_DURATION = "whole seconds, minutes, hours or days (600, 10m, 1h30m, 7d)"
_CIDRS = "an address range (10.1.0.0/16)"
_LIMITS = (
    Key("cpu", "text", _A_QUANTITY, "CPU that all pods together may ask for.", _QUANTITY, numbers=True),
    Key("memory", "text", _A_QUANTITY, "Memory that all pods together may use.", _QUANTITY, numbers=True),
    Key("pods", "text", "a whole number", "Pods that may be there at once.", r"[1-9][0-9]{0,5}", numbers=True),
    Key("cpu_per_pod", "text", _A_QUANTITY, "CPU that one pod may ask for.", _QUANTITY, numbers=True),
    Key("memory_per_pod", "text", _A_QUANTITY, "Memory that one pod may use.", _QUANTITY, numbers=True),
)
_EGRESS = (
    Key("cidr", "text", _CIDRS, "Addresses that pods may connect to.", _CIDR),
    Key("namespace", "text", "the name of a Kubernetes namespace", "Namespace whose pods they may reach.", _LABEL),
    Key("ports", "list", "a TCP port (5432)", "TCP ports. Not set: all.", _PORT, numbers=True),
)
_AN_ACCOUNT = "a service account (airflow/airflow-worker) or a user of Kubernetes (user:airflow-worker)"
_AIRFLOW = (
    Key("worker", "text", _AN_ACCOUNT, "Account of Airflow's workers.", _ACCOUNT, required=True),
    Key("triggerer", "text", _AN_ACCOUNT, "Account of Airflow's triggerer.", _ACCOUNT, required=True),
)
# A team can only be stricter than the platform.
_TOKENS = (
    *(
        Key(name, "text", _A_DURATION, about, _DURATION, numbers=True)
        for name, about in (
            ("token_ttl", "Life of a pod's Vault token that nobody renews."),
            ("token_max_ttl", "Longest life of a pod's Vault token, renewed."),
            ("token_explicit_max_ttl", "The same, whatever the mount says."),
        )
    ),
    Key("token_bound_cidrs", "list", _CIDRS, "Addresses from where a pod's Vault token is taken.", _CIDR),
)


def _resources(what: str) -> tuple[Key, ...]:
    return (
        Key("cpu", "text", _A_QUANTITY, f"CPU that the agent {what}.", _QUANTITY, numbers=True),
        Key("memory", "text", _A_QUANTITY, f"Memory that the agent {what}.", _QUANTITY, numbers=True),
        Key("ephemeral-storage", "text", _A_QUANTITY, f"Disk that the agent {what}.", _QUANTITY, numbers=True),
    )


_AGENT = Key(
    "agent",
    "group",
    "resources, run_as_user, image_pull_policy, image_pull_secrets and log_level",
    "Settings of the Vault agent's container. A team's own take the place of the platform's.",
    fields=(
        Key(
            "resources",
            "group",
            "requests and limits",
            "What the agent is given; what is not named stays as it is.",
            fields=(
                Key("requests", "group", "cpu and memory", "What it asks for.", fields=_resources("asks for")),
                Key("limits", "group", "cpu and memory", "What it may use.", fields=_resources("may use")),
            ),
        ),
        Key(
            "run_as_user",
            "text",
            "a user's number other than 0, or 'cluster'",
            "User that the agent runs as; 'cluster': the one that the cluster gives it, as OpenShift does. "
            "Not set: the pod's own, or 65532 where that is root or none.",
            r"[1-9][0-9]{0,9}|cluster",
            numbers=True,
        ),
        Key(
            "image_pull_policy",
            "text",
            "Always, IfNotPresent or Never",
            "When the agent's image is pulled.",
            choices=("Always", "IfNotPresent", "Never"),
        ),
        Key(
            "image_pull_secrets",
            "list",
            "the name of a Secret",
            "Secrets of the namespace with which the agent's image is pulled.",
            _SUBDOMAIN,
        ),
        Key(
            "log_level",
            "text",
            "debug, info, warn or error",
            "How much the agent logs.",
            choices=("debug", "info", "warn", "error"),
        ),
    ),
)

TEAM_KEYS = (
    Key(
        "namespace",
        "text",
        "the name of a Kubernetes namespace (lower case, digits, -)",
        "Namespace of all the team's pods.",
        _LABEL,
        required=True,
    ),
    Key(
        "service_account",
        "text",
        "the name of a Kubernetes service account (lower case, digits, - .)",
        "Service account that the pods run as, and log in to Vault with.",
        _SUBDOMAIN,
        required=True,
    ),
    Key(
        "vault_role",
        "text",
        "the name of a Vault role (letters, digits, _ . -)",
        "Role of Vault's auth method that the pods log in to.",
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
        required=True,
    ),
    Key(
        "images",
        "map",
        "an image reference ('python:3.12-slim')",
        "Images that the team's containers may run, by the alias that templates use.",
        image_reference.PATTERN,
        required=True,
    ),
    Key(
        "secrets",
        "list",
        "a Vault path with `*` as the only wildcard, and no wildcard in the mount ('secret/payments/*')",
        "Ceiling of what the team's pods may ask Vault for. `*` stands for anything within one segment; "
        "a path that ends in /* covers everything below.",
        _CEILING,
    ),
    Key(
        "update",
        "list",
        "a Vault path with `*` as the only wildcard, and no wildcard in the mount ('pki/issue/payments')",
        "Ceiling of where the team's pods may have Vault make a credential on request (parameters=), "
        "written as in `secrets`. Nothing without it.",
        _CEILING,
    ),
    _OVERRIDABLE,
    _POD_SECURITY,
    Key(
        "deliveries",
        "list",
        "agent or secret",
        "Deliveries that the team's tasks use, and so the rights that Airflow needs. "
        "Not set: [k8s_vault] default_delivery.",
        choices=("agent", "secret"),
    ),
    Key("xcom", "flag", "true or false", "Whether the team's tasks push XComs from their pods.", default=True),
    Key(
        "identity",
        "text",
        "team or dag",
        "Whether all pods of the team share a service account and Vault role, or each DAG has its own.",
        choices=("team", "dag"),
        default="team",
    ),
    Key(
        "image_pull_secrets",
        "list",
        "the name of a Secret",
        "Secrets of the namespace with which the team's images are pulled.",
        _SUBDOMAIN,
    ),
    Key("limits", "group", "cpu, memory and pods", "What the team's pods may use.", fields=_LIMITS),
    Key(
        "egress",
        "groups",
        "a cidr or a namespace, with ports",
        "What the team's pods may connect to, beside DNS and Vault. Not set: anything.",
        fields=_EGRESS,
    ),
    _AGENT,
    *_TOKENS,
)

PLATFORM_KEYS = (
    _OVERRIDABLE,
    _POD_SECURITY,
    Key(
        "registries",
        "list",
        "a registry, with a path where wanted ('registry.example.com/payments')",
        "Registries that images may come from. Not set: any.",
        rf"{image_reference.DOMAIN}(/{image_reference.COMPONENT})*",
    ),
    Key(
        "digests_only",
        "flag",
        "true or false",
        "Whether every image has to be named by digest (@sha256:…).",
        default=False,
    ),
    Key(
        "hook_fields",
        "list",
        "a field of the pod ('spec.tolerations', 'metadata.annotations[prometheus.io/scrape]')",
        "Fields that Airflow's pod_mutation_hook may change. What it changes beside them is refused.",
        r"(metadata|spec)(\.[A-Za-z]+(\[[^\[\]]+\])?)+",
    ),
    Key(
        "airflow",
        "group",
        "worker and triggerer",
        "Accounts with which Airflow makes and watches pods, namespace/name or user:NAME; {team} is the team.",
        fields=_AIRFLOW,
    ),
    Key(
        "break_glass",
        "list",
        "the name of a Kubernetes user or group",
        "Users and groups whom the admission policies let pass: they may run commands in pods, and make any.",
        r"[!-~]([ -~]*[!-~])?",
    ),
    Key(
        "whole_mounts",
        "list",
        "a mount of Vault ('payments')",
        "Mounts that a team's ceiling may cover whole.",
        r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    ),
    Key(
        "mounts",
        "list",
        "a mount of Vault with a slash in its name ('kv/teams')",
        "Mounts whose name has several segments; the first segment of a path is its mount otherwise.",
        r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)+",
    ),
    Key(
        "xcom_image",
        "text",
        "an image reference",
        "XCom sidecar's image, where the connection sets one.",
        image_reference.PATTERN,
    ),
    Key("vault_cidrs", "list", _CIDRS, "Addresses of Vault, where vault_addr has a name outside.", _CIDR),
    _AGENT,
    *_TOKENS,
)
