"""Of each kind of error: what it means for the task, and a remedy before and after. Read by `troubleshooting`."""

from __future__ import annotations

from typing import NamedTuple


class Remedy(NamedTuple):
    """meaning: a sentence or two. language: of the code blocks."""

    meaning: str
    language: str
    before: str
    after: str


REMEDIES = {
    "ConfigError": Remedy(
        "Found when the setting is first read: DAGs with a VaultPodOperator fail to import, or a command stops.",
        "ini",
        "[k8s_vault]\nvault_addr = vault.example.com:8200",
        "[k8s_vault]\nvault_addr = https://vault.example.com:8200",
    ),
    "TeamError": Remedy(
        "Found at import. The part of pod_template before the slash is the team, the name of a folder.",
        "python",
        'VaultPodOperator(task_id="load", pod_template="paymets/etl")',
        'VaultPodOperator(task_id="load", pod_template="payments/etl")',
    ),
    "TemplateError": Remedy(
        "Found at import, and again when the task runs, should a file have changed. The task is not tried again.",
        "python",
        'VaultPodOperator(task_id="load", pod_template="payments/etl", template_vars={"memroy": "2Gi"})',
        'VaultPodOperator(task_id="load", pod_template="payments/etl", template_vars={"memory": "2Gi"})',
    ),
    "MigrationError": Remedy(
        "A pod or a DAG as it is today cannot be taken over by itself. Nothing was written.",
        "console",
        "$ airflow k8s-vault templates import pod.yaml --team payments",
        "$ airflow k8s-vault templates import pod.yaml --team payments --base main",
    ),
    "SecretSpecError": Remedy(
        "Found at import. All mistakes of a task come in one message.",
        "python",
        'VaultSecret("secret/data/payments/warehouse", env={"1PASSWORD": "password"})',
        'VaultSecret("secret/payments/warehouse", env={"PASSWORD": "password"})',
    ),
    "ArgumentError": Remedy(
        "Found at import. Arguments are KubernetesPodOperator's, and those of VaultPodOperator.",
        "python",
        'VaultPodOperator(task_id="load", pod_template="payments/etl", commands=["true"])',
        'VaultPodOperator(task_id="load", pod_template="payments/etl", cmds=["true"])',
    ),
    "PolicyError": Remedy(
        "A DAG asks for what its team's file does not leave open. That is refused, and never left out.",
        "python",
        'VaultPodOperator(task_id="load", pod_template="payments/etl", image="python:3.13")',
        'VaultPodOperator(task_id="load", pod_template="payments/py313")  # an image of the team\'s file',
    ),
    "DeliveryRefused": Remedy(
        "The task fails for good: no main process has run. Mend what Vault or the cluster refused, and clear it.",
        "console",
        "$ airflow tasks clear payments_load   # alone, it fails the same way",
        "$ airflow k8s-vault doctor --team payments --dags dags\n$ airflow tasks clear payments_load",
    ),
    "DeliveryUnavailable": Remedy(
        "The task fails and is tried again, where the DAG gives it retries. No main process has run.",
        "python",
        'VaultPodOperator(task_id="load", pod_template="payments/etl")',
        'VaultPodOperator(task_id="load", pod_template="payments/etl", retries=3)',
    ),
    "ForeignPod": Remedy(
        "Somebody made a pod that looks like the task's. It is neither read nor deleted: see who made it.",
        "console",
        "$ kubectl --namespace team-payments get pods",
        "$ kubectl --namespace team-payments get pod NAME -o yaml --show-managed-fields",
    ),
    "VaultError": Remedy(
        "The secrets backend could not look a name up, and what was raised is no answer of Vault.",
        "console",
        "$ airflow connections get warehouse",
        "$ AIRFLOW__LOGGING__LOGGING_LEVEL=DEBUG airflow connections get warehouse",
    ),
    "VaultRefused": Remedy(
        "Vault said no, and would say it again. Its reason is in brackets.",
        "hcl",
        'path "secret/payments/*" { capabilities = ["read"] }',
        'path "secret/data/payments/*" { capabilities = ["read"] }  # KV 2: compile vault writes it so',
    ),
    "VaultUnavailable": Remedy(
        "Vault was asked several times within the deadline. An earlier answer is served where the cache may.",
        "console",
        "$ curl $VAULT_ADDR/v1/sys/health",
        "$ vault operator unseal",
    ),
    "SecretShapeError": Remedy(
        "The path can be read, and what is there is no connection or variable.",
        "console",
        "$ vault kv put secret/variables/region name=eu",
        "$ vault kv put secret/variables/region value=eu",
    ),
    "AirflowException": Remedy(
        "The pod had its credentials, or needed none, and failed by itself.",
        "python",
        'VaultPodOperator(task_id="load", pod_template="payments/etl")',
        'VaultPodOperator(task_id="load", pod_template="payments/etl", template_vars={"memory": "4Gi"})',
    ),
}
