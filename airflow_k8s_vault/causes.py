"""What can be wrong between a DAG and its credentials: one row of data each, with a stable code.

`doctor`, the message of a failed task and docs/troubleshooting.md are made from these rows, so that they cannot
drift apart. A hint says what to do next; `{…}` in it is filled in where the cause is told.
"""

from __future__ import annotations

import re
from typing import NamedTuple

DOCS = "docs/troubleshooting.md"


class Cause(NamedTuple):
    """One thing that can be wrong. `code` is stable: scripts and searches find it.

    options: of `airflow k8s-vault doctor`, without which that check is not made.
    """

    code: str
    category: str
    description: str
    meaning: str
    hint: str
    options: str = ""

    @property
    def anchor(self) -> str:
        """Return where the docs have it."""
        return f"{DOCS}#{self.code.lower()}"


HERE, CLUSTER, VAULT, DELIVERY = "here", "cluster", "vault", "delivery"
CATEGORIES = {
    HERE: "This machine's Airflow",
    CLUSTER: "The cluster",
    VAULT: "Vault",
    DELIVERY: "A pod with its credentials",
}

CAUSES = (
    Cause(
        "HERE-SETTINGS",
        HERE,
        "the settings of [k8s_vault] are complete and valid",
        "A setting that pods need is missing or has no valid value. DAGs with a VaultPodOperator fail to import.",
        "Set it in airflow.cfg or the environment, on DAG processors, workers and triggerers alike.",
    ),
    Cause(
        "HERE-BACKEND",
        HERE,
        "the secrets backend is loaded with valid arguments",
        "Airflow only warns about backend_kwargs that are no JSON, and then looks nothing up in Vault.",
        "Correct [secrets] backend_kwargs: one JSON object, in double quotes.",
    ),
    Cause(
        "HERE-TEMPLATES",
        HERE,
        "the templates and the teams' files are without errors",
        "A team's file or a template is not valid. The tasks of that team fail to import.",
        "Run: airflow k8s-vault templates lint",
    ),
    Cause(
        "HERE-COMPILED",
        HERE,
        "the teams' files and DAGs say what Vault and Kubernetes are to hold",
        "What Vault and the cluster should have is compiled from them. Where that fails, nothing can be compared.",
        "Run: airflow k8s-vault compile kubernetes, and mend what it lists.",
    ),
    Cause(
        "HERE-VERSIONS",
        HERE,
        "Airflow and its Kubernetes provider are recent enough",
        "This package is written against newer releases than those that are installed.",
        "Upgrade: pip install -U 'apache-airflow>=3.2' 'apache-airflow-providers-cncf-kubernetes>=10.16'",
    ),
    Cause(
        "HERE-PLUGINS",
        HERE,
        "Airflow loads the provider, the plugin and the policy of this package",
        "Without its entry points there are no commands, no page, and no guard of the teams' namespaces.",
        "Install the package where Airflow is installed, and restart Airflow: pip install airflow-k8s-vault",
    ),
    Cause(
        "HERE-HOOK",
        HERE,
        "what pod_mutation_hook changes is named in hook_fields",
        "The final pod is compared with the template's. What only the hook changes is refused.",
        "Name the fields in hook_fields of platform.yaml, or leave pods of these teams alone in the hook.",
    ),
    Cause(
        "HERE-IMPORTS",
        HERE,
        "no DAG fails to import because of this package",
        "A DAG asks for something that its team does not have. Airflow does not run it.",
        "Read the DAG's import error: it lists all mistakes at once.",
    ),
    Cause(
        "CLUSTER-REACHED",
        CLUSTER,
        "the cluster answers",
        "The Kubernetes API cannot be reached, or does not know this account. No task can start a pod.",
        "Check the Kubernetes connection of Airflow: kubeconfig, in-cluster account, network.",
    ),
    Cause(
        "CLUSTER-FILE-KEY-REF",
        CLUSTER,
        "the cluster takes variables from files (fileKeyRef)",
        "Delivery 'agent' hands variables over by fileKeyRef, which Kubernetes has since 1.35.",
        "Upgrade the cluster, give secrets as file=, or set [k8s_vault] default_delivery = auto.",
    ),
    Cause(
        "CLUSTER-NAMESPACE",
        CLUSTER,
        "the team's namespace is there, with its Pod Security level",
        "The namespace is missing, or not labelled with the level that the team's file says.",
        "Run: airflow k8s-vault compile kubernetes --team {team} | kubectl apply --server-side -f -",
    ),
    Cause(
        "CLUSTER-ACCOUNT",
        CLUSTER,
        "the team's service account is there",
        "Pods run as that account and log in to Vault with its tokens. The API server refuses a pod without it.",
        "Run: airflow k8s-vault compile kubernetes --team {team} | kubectl apply --server-side -f -",
    ),
    Cause(
        "CLUSTER-RIGHTS",
        CLUSTER,
        "Airflow may do in the team's namespace what its tasks need",
        "The account of Airflow's worker, or of its triggerer, lacks a right.",
        "Run: airflow k8s-vault compile kubernetes --team {team} | kubectl apply --server-side -f -",
    ),
    Cause(
        "CLUSTER-RIGHTS-WIDE",
        CLUSTER,
        "Airflow may do no more in the team's namespace than its tasks need",
        "Code of a DAG runs with the worker's rights. What it may beyond the compiled Role, every DAG may.",
        "Find what grants it: kubectl get rolebindings,clusterrolebindings -A -o wide, and take it away.",
    ),
    Cause(
        "CLUSTER-ADMISSION",
        CLUSTER,
        "the team's admission policy is in place and binds",
        "Without it, only checks in Airflow's worker hold what a pod of the team may be, and code on a "
        "worker goes around them.",
        "Run: airflow k8s-vault compile kubernetes --team {team} | kubectl apply --server-side -f -",
    ),
    Cause(
        "CLUSTER-QUOTA",
        CLUSTER,
        "the namespace's quota has room for one pod",
        "A ResourceQuota is used up, or counts what the template's pod does not say: no task can start.",
        "Wait for pods to end, delete ended ones, or raise limits: in the team's file.",
    ),
    Cause(
        "CLUSTER-POD",
        CLUSTER,
        "the API server admits a pod of each template (dry run)",
        "Pod Security, an admission policy or a limit refuses the pod that the template gives.",
        "Change the template, or what refuses it: the message is the API server's own.",
    ),
    Cause(
        "POD-AGENT-IMAGE",
        DELIVERY,
        "the agent's image can be pulled and started",
        "Delivery 'agent' runs it beside every task with secrets. The kubelet retries a pull for ever.",
        "Set [k8s_vault] vault_agent_image to one that the cluster can pull.",
        "--from pod",
    ),
    Cause(
        "CLUSTER-CLOCK",
        CLUSTER,
        "the clocks agree",
        "Tokens carry times. Where clocks differ by minutes, a login is refused as 'expired' or 'not yet valid'.",
        "Let NTP run on the nodes, on Vault's machine and here.",
    ),
    Cause(
        "VAULT-REACHED",
        VAULT,
        "Vault answers from here",
        "The address is wrong, or there is no way to it, or its certificate is not trusted.",
        "Check [k8s_vault] vault_addr and vault_cacert.",
    ),
    Cause(
        "VAULT-SEALED",
        VAULT,
        "Vault is unsealed and active",
        "A sealed Vault answers nothing. Tasks fail as retryable until it is unsealed.",
        "Unseal it: vault operator unseal",
    ),
    Cause(
        "VAULT-ADVISORY",
        VAULT,
        "no version with a known hole that concerns this use",
        "A server, or the agent's image, is older than a release that closed a hole.",
        "Upgrade to {fixed} or later.",
    ),
    Cause(
        "VAULT-MOUNT",
        VAULT,
        "the auth mount is there and of the right kind",
        "Pods log in at [k8s_vault] vault_auth_mount by vault_auth_method; Vault has no such mount, or one of "
        "another kind.",
        "Enable it, or set vault_auth_mount and vault_auth_method to what Vault has.",
    ),
    Cause(
        "VAULT-REVIEWER",
        VAULT,
        "the kubernetes mount can review tokens",
        "A token of audience 'vault' is no credential of the API server: Vault cannot review it with itself. "
        "Every login is a bare 403 unless the mount has the token_reviewer_jwt of an account that may review.",
        "Write token_reviewer_jwt into auth/{mount}/config, of an account with system:auth-delegator.",
    ),
    Cause(
        "VAULT-ROLE",
        VAULT,
        "the team's role is there and bound as its file says",
        "The role is missing, or bound to another account, namespace or audience.",
        "Run: airflow k8s-vault compile vault --team {team} --format cli",
    ),
    Cause(
        "VAULT-LOGIN",
        VAULT,
        "a pod of the team can log in",
        "Vault refuses a token of the team's account, made as a pod's is.",
        "Look at the checks above; Vault's own log names the reason that it does not tell the client.",
    ),
    Cause(
        "VAULT-PATHS",
        VAULT,
        "each declared path can be read, by its engine",
        "The role's policy does not allow a path that a DAG declares, or the path is of another engine.",
        "Run: airflow k8s-vault compile vault --team {team} --dags DIR, or correct engine= in the DAG.",
        "--dags DIR",
    ),
    Cause(
        "VAULT-TTL",
        VAULT,
        "logins and leases live as long as the tasks may",
        "A task may run longer than its login or lease can live; it is refused before its main process starts.",
        "Raise token_max_ttl or the engine role's max_ttl, or lower the task's execution_timeout.",
        "--dags DIR",
    ),
    Cause(
        "VAULT-LEASE",
        VAULT,
        "each dynamic path gives a credential, and takes it back",
        "Vault may read the role, and cannot make a login with it: the database or its password is not right.",
        "Read Vault's message; try it by hand: vault read PATH, with a token of the team's role.",
        "--dags DIR --leases",
    ),
    Cause(
        "POD-REACHES-VAULT",
        DELIVERY,
        "a pod of the team reaches Vault",
        "DNS, a network policy or a certificate keeps pods from an address that this machine can reach.",
        "Check [k8s_vault] vault_addr from a pod's view, the team's egress, and vault_cacert.",
        "--from pod",
    ),
    Cause(
        "POD-DELIVERY",
        DELIVERY,
        "a pod of the team gets its credentials",
        "The whole way of a task was walked, and the pod did not get what it asked for.",
        "Read the message: it is what a task's log would say.",
        "--task none",
    ),
)
BY_CODE = {cause.code: cause for cause in CAUSES}


def command(code: str, team: str = "{team}") -> str:
    """Return the command that makes that check; team: "" for all teams.

    >>> command("VAULT-LOGIN", "payments")
    'airflow k8s-vault doctor --team payments'
    """
    words = ["airflow k8s-vault doctor", f"--team {team}" if team else "", BY_CODE[code].options]
    return " ".join(filter(None, words))


def step_of(message: str) -> str:
    """Return the code that `run` ended a message with, "" where it did not.

    >>> step_of("Vault said no." + run("VAULT-LOGIN", "payments"))
    'VAULT-LOGIN'
    """
    named = re.search(r"(?m)^  Run: airflow k8s-vault doctor.*\(see ([A-Z-]+)\)$", message)
    return named[1] if named else ""


def run(code: str, team: str = "") -> str:
    """Return the last line of a task's message: the step of doctor that shows more.

    >>> run("POD-REACHES-VAULT", "payments")
    '\\n  Run: airflow k8s-vault doctor --team payments --from pod (see POD-REACHES-VAULT)'
    """
    return f"\n  Run: {command(code, team)} (see {code})"
