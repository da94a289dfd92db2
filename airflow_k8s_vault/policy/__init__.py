"""What a DAG may set, and what no pod may be: checks on plain data, without a cluster."""

from __future__ import annotations

from airflow_k8s_vault.policy.arguments import argument_refusal, is_open, traceless_arguments
from airflow_k8s_vault.policy.changes import INIT_KEYS, OPERATOR_LABELS, arguments_for
from airflow_k8s_vault.policy.credentials import ENV_SOURCES, ISSUER_KEYS
from airflow_k8s_vault.policy.expected import PLAIN_VOLUMES, Expected, Hooked
from airflow_k8s_vault.policy.final_pod import LITERAL_WAY_OUT, check, literals_in
from airflow_k8s_vault.policy.images import image_mistakes, named_images, platform_image_mistakes
from airflow_k8s_vault.policy.known_secrets import known_secret_errors
from airflow_k8s_vault.policy.literal_fields import kind_of_field
from airflow_k8s_vault.policy.literals import kind_of_text, kind_of_variable, kind_of_words
from airflow_k8s_vault.policy.live_pod import differences
from airflow_k8s_vault.policy.manifest import (
    MERGE_KEYS,
    FieldPath,
    flatten,
    parsed_path,
    shown_path,
    volume_kinds,
)
from airflow_k8s_vault.policy.pod_security import (
    BASELINE_CAPABILITIES,
    HOOKS_AND_PROBES,
    SECCOMP_PROFILES,
    SELINUX_TYPES,
    SYSCTLS,
    PodSecurityLevel,
    pod_security_violations,
)
from airflow_k8s_vault.policy.pod_shape import ShapeMistake, shape_mistakes

__all__ = [
    "BASELINE_CAPABILITIES",
    "ENV_SOURCES",
    "HOOKS_AND_PROBES",
    "INIT_KEYS",
    "ISSUER_KEYS",
    "LITERAL_WAY_OUT",
    "MERGE_KEYS",
    "OPERATOR_LABELS",
    "PLAIN_VOLUMES",
    "SECCOMP_PROFILES",
    "SELINUX_TYPES",
    "SYSCTLS",
    "Expected",
    "FieldPath",
    "Hooked",
    "PodSecurityLevel",
    "ShapeMistake",
    "argument_refusal",
    "arguments_for",
    "check",
    "differences",
    "flatten",
    "image_mistakes",
    "is_open",
    "kind_of_field",
    "kind_of_text",
    "kind_of_variable",
    "kind_of_words",
    "known_secret_errors",
    "literals_in",
    "named_images",
    "parsed_path",
    "platform_image_mistakes",
    "pod_security_violations",
    "shape_mistakes",
    "shown_path",
    "traceless_arguments",
    "volume_kinds",
]
