"""The servers that the rest of the tests stand on: who gets in, from where, and who can read the passwords."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.postgres import PostgreSQL, drop_role_maker, make_database, make_role_maker
from k8s_vault_devcluster.provision import Provisioning, with_token
from k8s_vault_devcluster.server import DevCluster
from kubernetes import client, config

from airflow_k8s_vault.errors import VaultError
from tests.conftest import HOST
from tests.devcluster.own_network import alone

ELSEWHERE = "10.123.0.1"


@pytest.fixture
def setup(openbao: OpenBao, devcluster: DevCluster) -> Iterator[Provisioning]:
    api = config.new_client_from_config(str(devcluster.kubeconfig))
    with Provisioning(openbao.admin, api, auth_mount=f"kubernetes-{uuid.uuid4().hex[:8]}") as made:
        yield made


@pytest.fixture
def table(postgres: PostgreSQL) -> Iterator[str]:
    with psycopg2.connect(postgres.uri()) as connection, connection.cursor() as cursor:
        cursor.execute("create table loads (amount integer)")
    yield "loads"
    with psycopg2.connect(postgres.uri()) as connection, connection.cursor() as cursor:
        cursor.execute("drop table loads")


def test_openbao_keeps_what_is_written_to_it(openbao: OpenBao, kv_mount: str) -> None:
    openbao.request("POST", f"{kv_mount}/data/team/thing", {"data": {"colour": "blue"}})

    result = openbao.request("GET", f"{kv_mount}/data/team/thing")

    assert result["data"]["data"] == {"colour": "blue"}


def test_openbao_with_tls_is_trusted_by_its_ca_at_its_address(tmp_path: Path) -> None:
    server = OpenBao(tmp_path, host=HOST, tls_dir=tmp_path / "tls")

    mounts = server.request("GET", "sys/mounts")["data"]
    server.stop()

    assert "secret/" in mounts


def test_postgresql_asks_for_its_password(postgres: PostgreSQL) -> None:
    with psycopg2.connect(postgres.uri()) as connection, connection.cursor() as cursor:
        cursor.execute("select current_user")
        assert cursor.fetchone() == ("postgres",)

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres.uri().replace(postgres.password, "wrong"))


def test_a_login_that_vault_made_can_do_what_it_was_granted(
    setup: Provisioning, postgres: PostgreSQL, table: str
) -> None:
    setup.database_login("loads-rw", postgres.uri(), [f"insert on {table}"])

    login = setup.vault.request("GET", "database/creds/loads-rw")["data"]
    uri = f"postgresql://{login['username']}:{login['password']}@{postgres.host}:{postgres.port}/postgres"
    with psycopg2.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"insert into {table} values (1)")
    setup.undo()

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(uri)


@pytest.fixture
def public_keys(devcluster: DevCluster) -> Iterator[None]:
    """The cluster shows the keys of its tokens to everybody, which Vault's discovery takes."""
    rbac = client.RbacAuthorizationV1Api(config.new_client_from_config(str(devcluster.kubeconfig)))
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    role["name"] = "system:service-account-issuer-discovery"
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}
    rbac.create_cluster_role_binding({"metadata": {"name": "public-keys"}, "roleRef": role, "subjects": [group]})
    yield
    rbac.delete_cluster_role_binding("public-keys")


@pytest.mark.usefixtures("public_keys")
@pytest.mark.parametrize("auth", ["kubernetes", "jwt"])
def test_openbao_lets_in_a_service_account_of_devcluster(setup: Provisioning, auth: str) -> None:
    core, vault = client.CoreV1Api(setup.api), setup.vault
    body = {"spec": {"audiences": ["vault"], "expirationSeconds": 600}}
    core.create_namespaced_service_account("default", {"metadata": {"name": setup.auth_mount}})
    token = core.create_namespaced_service_account_token(setup.auth_mount, "default", body).status.token
    setup.login()
    role = {"audience": "vault", "token_ttl": "1m"}
    role |= {"bound_service_account_names": [setup.auth_mount], "bound_service_account_namespaces": ["default"]}
    mount = setup.auth_mount
    if auth == "jwt":
        mount = f"jwt-{setup.auth_mount}"
        vault.mount(mount, {"type": "jwt"}, auth=True)
        ca = Path(setup.api.configuration.ssl_ca_cert).read_text()
        result = {"oidc_discovery_url": setup.api.configuration.host, "oidc_discovery_ca_pem": ca}
        vault.request("POST", f"auth/{mount}/config", result)
        role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_ttl": "1m"}
    vault.request("POST", f"auth/{mount}/role/any", role)

    login = vault.request("POST", f"auth/{mount}/login", {"role": "any", "jwt": token})

    assert login["auth"]["client_token"]


@pytest.mark.skipif(HOST == ELSEWHERE, reason="this is what the test below starts")
@pytest.mark.timeout(180)
def test_all_of_this_and_a_task_holds_at_an_address_that_is_not_loopback() -> None:
    ours = ("AIRFLOW_", "PYTEST_", "K8S_VAULT_TEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"K8S_VAULT_TEST_HOST": ELSEWHERE}
    task = "tests/faults/test_endings.py::test_credentials_end_with_the_pod[success, agent, sync]"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, task]

    done = subprocess.run(alone(ELSEWHERE, *command), env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.parametrize(
    "statement",
    [
        "copy (select 1) to program 'touch {file}'",
        "copy (select 1) to '{file}'",
        'create role "{{{{name}}}}" superuser login',
        'create role "{{{{name}}}}"; grant pg_execute_server_program to "{{{{name}}}}"',
        'create role "{{{{name}}}}"; grant postgres to "{{{{name}}}}"',
        "alter role postgres password 'known'",
    ],
)
def test_who_makes_roles_for_vault_gets_nothing_of_a_superuser(
    setup: Provisioning, postgres: PostgreSQL, tmp_path: Path, statement: str
) -> None:
    setup.database_login("loads-rw", postgres.uri(), [])
    file = tmp_path / "touched"
    statements = {"creation_statements": [statement.format(file=file)]}
    setup.vault.request("POST", "database/roles/loads-rw", {"db_name": "loads-rw", **statements})

    with pytest.raises(VaultError, match="permission denied"):
        setup.vault.request("GET", "database/creds/loads-rw")

    assert not file.exists()


def test_who_owns_a_database_gets_nothing_of_a_superuser(postgres: PostgreSQL, tmp_path: Path) -> None:
    older = make_database(postgres.uri(), "owned")
    uri = make_database(postgres.uri(), "owned")
    refused = []
    with psycopg2.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("create table loads (amount integer); drop table loads")
    for statement in (
        f"copy (select 1) to program 'touch {tmp_path / 'touched'}'",
        f"copy (select 1) to '{tmp_path / 'touched'}'",
        f"select lo_export(lo_from_bytea(0, 'x'), '{tmp_path / 'touched'}')",
        "select pg_read_file('/etc/passwd')",
        "create extension dblink",
        "create role more",
    ):
        with psycopg2.connect(uri) as connection, connection.cursor() as cursor:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)
            refused.append(statement)

    assert 6 == len(refused)
    assert [] == list(tmp_path.iterdir())
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(older)
    connection = psycopg2.connect(postgres.uri())
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("drop database owned")
        cursor.execute("drop role owned")


def test_a_role_maker_that_is_dropped_takes_its_roles_grants_along(postgres: PostgreSQL, table: str) -> None:
    uri = make_role_maker(postgres.uri(), "maker", [f"insert on {table}"])
    with psycopg2.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"create role made; grant insert on {table} to made")

    drop_role_maker(postgres.uri(), "maker")

    with psycopg2.connect(postgres.uri()) as connection, connection.cursor() as cursor:
        cursor.execute("select has_table_privilege('made', %s, 'insert')", [table])
        assert cursor.fetchone() == (False,)
        cursor.execute("drop role made")


def test_no_other_user_of_this_machine_can_read_a_password(tmp_path: Path) -> None:
    openbao, postgres = OpenBao(tmp_path / "openbao"), PostgreSQL(tmp_path / "postgres")
    secrets = (openbao.root_token, openbao.unseal_key, postgres.password)

    arguments = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    shown = [secret for secret in secrets if any(secret.encode() in words for words in arguments)]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    readable = [path for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)]
    logs = [oct(server.log.stat().st_mode & 0o777) for server in (openbao, postgres)]
    openbao.stop()
    postgres.stop()

    assert ([], []) == (shown, readable)
    assert ["0o600", "0o600"] == logs
    assert len(openbao.root_token) > 20


@pytest.mark.parametrize("before", ["file", "link"])
def test_a_file_with_a_token_is_private_whatever_stood_there(before: str, tmp_path: Path) -> None:
    (tmp_path / "admin").write_text("users: [{name: admin, user: {token: admins}}]\n")
    theirs, file = tmp_path / "theirs", tmp_path / "kubeconfig"
    theirs.write_text("theirs")
    if before == "file":
        file.write_text("")
        file.chmod(0o666)
    else:
        file.symlink_to(theirs)

    with_token(tmp_path / "admin", "workers", file)

    assert "theirs" == theirs.read_text()
    assert (False, 0o600) == (file.is_symlink(), file.stat().st_mode & 0o777)
    assert "workers" in file.read_text()
