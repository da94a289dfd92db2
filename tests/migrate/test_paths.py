"""What fills Kubernetes Secrets and CSI volumes is followed to Vault: paths, engines and keys, and no value."""

from __future__ import annotations

import ast
import base64
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_k8s_vault import VaultSecret, migrate
from airflow_k8s_vault.migrate import Imported, Origins, Target
from airflow_k8s_vault.migrate.needed import Needed
from tests.commands.test_templates import run

PATHS = Path(__file__).parent / "paths"
NAMES = sorted(file.stem for file in PATHS.glob("*.yaml"))
STORE = {
    "apiVersion": "external-secrets.io/v1",
    "kind": "SecretStore",
    "metadata": {"name": "vault"},
    "spec": {"provider": {"vault": {"server": "https://vault:8200", "path": "secret"}}},
}


def imported(documents: list[dict[str, Any]], root: Path) -> Imported:
    given = migrate.of_documents(documents, "given.yaml")
    return migrate.import_pods(given.pods, Target(root, "etl", "pod", origins=Origins.of(given.objects)))


def of_file(name: str, root: Path) -> Imported:
    return imported(migrate.read((PATHS / f"{name}.yaml").read_text(), name), root)


def needed(result: Imported) -> list[Needed]:
    (secrets,) = result.needed.values()
    return secrets


def as_given(result: Imported) -> list[tuple[str, dict[str, Any]]]:
    return [(one.path, one.arguments) for one in needed(result)]


def pod(secret: str = "db", key: str = "password", namespace: str = "", **more: Any) -> dict[str, Any]:
    variable = {"name": "X", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
    base = {"name": "base", "image": "etl:7", "env": [variable], **more}
    metadata = {"namespace": namespace} if namespace else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [base]}}


def external(name: str = "db", namespace: str = "", kind: str = "ExternalSecret", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    spec = {"secretStoreRef": {"name": "vault"}, **spec}
    return {"apiVersion": "external-secrets.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def one(key: str = "etl/db", name: str = "password", **more: Any) -> list[dict[str, Any]]:
    return [{"secretKey": "password", "remoteRef": {"key": key, "property": name, **more}}]


def comments(result: Imported) -> str:
    return " ".join(text for secret in needed(result) for text in secret.comments)


def test_external_secrets_and_their_stores_give_path_engine_keys_and_version(tmp_path: Path) -> None:
    home = {"directory": "/home/etl/tls"}

    assert [
        ("secret/etl/warehouse", {"env": {"PGPASSWORD": "password", "PGUSER": "username"}}),
        ("secret/etl/api", {"version": 3, "env": {"API_TOKEN": "token"}}),
        ("kv/etl/db", {"engine": "kv1", "env": {"DSN_USER": "username"}}),
        ("TODO/dsn", {"env": {"DSN": "url"}}),
        ("TODO/aws", {"env": {"AWS_KEY": "key"}}),
        ("TODO/found", {"env": {"ALL": "some"}}),
        ("TODO/made", {"env": {"MADE": "password"}}),
        ("TODO/elsewhere", {"env": {"ELSEWHERE": "password"}}),
        ("database/creds/etl", {"engine": "dynamic", "env": {"LEASED": "password"}}),
        ("secret/etl/smtp", {"env": ["TODO_KEY"]}),
        ("secret/shared/partner", {"env": {"PARTNER_USER": "user", "PARTNER_PASSWORD": "password"}}),
        ("secret/etl/tls", {"files": {"client.crt": "cert"}, **home}),
        ("secret/etl/tls", {"files": {"client.key": "key"}, "mode": "0400", "decode": "base64", **home}),
        ("secret/etl/gcp", {"files": {"key.json": None}, "directory": "/home/etl/.gcp"}),
    ] == as_given(of_file("external-secrets", tmp_path))


def test_what_an_external_secret_leaves_open_is_a_todo_with_its_reason(tmp_path: Path) -> None:
    reasons = {
        secret.path.partition("/")[2]: secret.comments[0].partition(" holds: ")[2]
        for secret in needed(of_file("external-secrets", tmp_path))
        if secret.path.startswith("TODO/")
    }

    assert {
        "dsn": "a template of ExternalSecret team-etl/dsn makes it of 'username' of kv/etl/db, 'password' of "
        "kv/etl/db.",
        "aws": "ExternalSecret team-etl/aws reads it from aws, not from Vault.",
        "found": "ExternalSecret team-etl/found finds it by a pattern.",
        "made": "ExternalSecret team-etl/made takes it from generator Password strong.",
        "elsewhere": "ExternalSecret team-bi/elsewhere is of another namespace than 'team-etl'.",
    } == reasons


def test_objects_of_the_vault_secrets_operator_give_mount_path_type_and_parameters(tmp_path: Path) -> None:
    result = of_file("secrets-operator", tmp_path)
    names = {"common_name": "etl.example.com", "alt_names": "etl,etl.team-etl.svc", "ttl": "24h"}

    assert [
        ("secret/etl/warehouse", {"version": 4, "env": {"PGPASSWORD": "password"}}),
        ("TODO/warehouse", {"env": {"RAW": "_raw"}}),
        ("TODO/warehouse", {"env": {"DSN": "dsn"}}),
        ("kv/reports/db", {"engine": "kv1", "env": {"REPORT_USER": "username", "LICENCE": "licence-key"}}),
        ("TODO/reports", {"env": {"OTHER": "username"}}),
        ("database/creds/etl-ro", {"engine": "dynamic", "env": ["TODO_KEY"]}),
        (
            "pki/issue/etl",
            {
                "engine": "dynamic",
                "parameters": names,
                "files": {"tls.crt": "certificate", "tls.key": "private_key"},
                "directory": "/home/etl/tls",
            },
        ),
        (
            "pki/issuer/root-2026/issue/web",
            {
                "engine": "dynamic",
                "parameters": {"common_name": "web.example.com", "exclude_cn_from_sans": "true"},
                "files": {"key.pem": "private_key"},
                "directory": "/home/etl/web",
            },
        ),
    ] == as_given(result)
    assert "tls.crt was the certificate with its chain" in comments(result)
    assert "update:\n  - pki/issue/etl\n  - pki/issuer/root-2026/issue/web\n" in result.files["etl/team.yaml"]
    assert (
        "secrets:\n  - database/creds/etl-ro\n  - kv/reports/db\n  - secret/etl/warehouse\n"
        in (result.files["etl/team.yaml"])
    )


def test_a_secret_provider_class_gives_the_files_of_its_volumes_and_the_secrets_that_it_syncs(
    tmp_path: Path,
) -> None:
    result = of_file("provider-class", tmp_path)
    store, dynamic = {"directory": "/mnt/secrets-store"}, {"engine": "dynamic"}
    parameters = {"common_name": "etl.example.com", "ttl": "24h"}

    assert [
        ("secret/etl/warehouse", {"env": {"PGPASSWORD": "password"}}),
        ("database/creds/etl", {**dynamic, "env": {"LEASED": "password"}}),
        ("secret/etl/warehouse", {"files": {"db-password": "password"}, **store}),
        ("secret/etl/all", {"files": {"bundle.json": None}, **store}),
        ("kv/etl/keystore", {"engine": "kv1", "files": {"keystore": "store"}, "decode": "base64", **store}),
        ("pki/issue/etl", {**dynamic, "parameters": parameters, "files": {"cert": "certificate"}, **store}),
        ("secret/etl/api", {"files": {"api-key": "key"}, "mode": "0400", **store}),
        ("database/creds/etl", {**dynamic, "files": {"leased": "password"}}),
        ("secret/etl/api", {"files": {"api.key": "key"}, "mode": "0400", "directory": "/home/etl/.keys"}),
        ("TODO/azure", {"files": {"TODO.file": "TODO_key"}, "directory": "/mnt/azure"}),
    ] == as_given(result)
    assert "SecretProviderClass team-etl/azure is of provider azure, not vault" in comments(result)
    assert "vault_role: etl\n" in result.files["etl/team.yaml"]
    assert "the program looked in /mnt/secrets-store/db, which lies in /mnt/secrets-store" in comments(result)
    assert 2 == comments(result).count("mode 0400 needs the container's user: runAsUser in the template")


def test_references_of_bank_vaults_are_followed_in_secrets_and_a_secrets_own_value_is_shown_nowhere(
    tmp_path: Path,
) -> None:
    result = of_file("bank-vaults", tmp_path)
    ran = run(
        *("templates", "import", PATHS / "bank-vaults.yaml", "--team", "etl", "--templates-dir", tmp_path / "t")
    )
    written = "".join(file.read_text() for file in (tmp_path / "t").rglob("*.*"))

    assert [
        ("secret/etl/db", {"env": {"DSN": "user"}}),
        (
            "pki/issue/etl",
            {
                "engine": "dynamic",
                "parameters": {"common_name": "etl.example.com"},
                "env": {"CERT": "certificate"},
            },
        ),
        ("secret/etl/warehouse", {"env": {"PGPASSWORD": "password"}}),
        ("secret/etl/api", {"version": 2, "env": {"TOKEN": "token"}}),
        ("TODO/etl", {"env": {"PLAIN": "plain"}}),
    ] == as_given(result)
    assert "'user' of secret/etl/db and 'password' of secret/etl/db" in comments(result)
    assert "Secret etl has the value itself (not shown)" in comments(result)
    assert 1 == ran.status, ran.err
    for value in ("hunter", base64.b64encode(b"Zx99hunter").decode()):
        assert value not in ran.out + ran.err + written


@pytest.mark.parametrize("name", NAMES)
def test_the_code_is_python_whose_secrets_are_sound_and_fits_a_screen(name: str, tmp_path: Path) -> None:
    result = of_file(name, tmp_path)
    (source,) = ("\n".join(result.call(each, "etl/pod")) for each in result.fates)

    (call,) = ast.parse(source).body
    secrets = next(key.value for key in call.value.keywords if key.arg == "vault_secrets")  # type: ignore[attr-defined]
    made = eval(ast.unparse(secrets), {"VaultSecret": VaultSecret})
    assert [error for secret in made for error in secret.mistakes()] == []
    assert max(map(len, source.splitlines())) <= 90


@pytest.mark.parametrize(
    ("vault", "key", "path", "engine"),
    [
        ({"path": "secret"}, "etl/db", "secret/etl/db", "kv2"),
        ({"path": "secret"}, "secret/etl/db", "secret/etl/db", "kv2"),
        ({"path": "secret"}, "secret/data/etl/db", "secret/etl/db", "kv2"),
        ({"path": "secret/data"}, "etl/db", "secret/etl/db", "kv2"),
        ({"path": "kv/team"}, "db", "kv/team/db", "kv2"),
        ({}, "secret/etl/db", "secret/etl/db", "kv2"),
        ({}, "secret/data/etl/db", "secret/etl/db", "kv2"),
        ({"path": "kv", "version": "v1"}, "etl/data/db", "kv/etl/data/db", "kv1"),
        ({"version": "v1"}, "kv/etl/db", "kv/etl/db", "kv1"),
    ],
)
def test_a_key_becomes_the_path_that_vault_kv_get_takes(
    vault: dict[str, str], key: str, path: str, engine: str, tmp_path: Path
) -> None:
    store = {**STORE, "spec": {"provider": {"vault": {"server": "https://vault:8200", **vault}}}}
    (secret,) = needed(imported([pod(), store, external(data=one(key))], tmp_path))

    assert (path, engine) == (secret.path, secret.arguments.get("engine", "kv2"))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"data": one(metadataPolicy="Fetch")}, "it is of the metadata of etl/db"),
        ({"data": one(name="")}, "X was all of secret/etl/db, as JSON, which only a file can be"),
        ({"data": one(decodingStrategy="Base64")}, "X was decoded from base64"),
        ({"data": one(), "secretStoreRef": {"name": "gone"}}, "SecretStore 'gone', which is not among the files"),
        (
            {"dataFrom": [{"extract": {"key": "a/b"}}, {"extract": {"key": "c/d"}}]},
            "takes it from one of secret/a/b, secret/c/d",
        ),
        (
            {"dataFrom": [{"extract": {"key": "a/b"}, "rewrite": [{"regexp": {"source": "a", "target": "b"}}]}]},
            "gives its keys other names",
        ),
        ({"dataFrom": [{"extract": {"key": "a/b", "property": "inner"}}]}, "takes it out of the value of 'inner'"),
        (
            {"data": [], "target": {"template": {"data": {"password": "Zx77hunter"}}}},
            "is plain text in the template",
        ),
        ({"target": {"template": {"templateFrom": [{"literal": "x"}]}}}, "makes it by templateFrom"),
        (
            {"data": one(), "target": {"template": {"data": {"password": "{{ .password | upper }}"}}}},
            "makes it of",
        ),
        ({"data": [{"secretKey": "other", "remoteRef": {"key": "x"}}]}, "gives it no key 'password'"),
        ({"data": one(), "target": {"creationPolicy": "None"}}, ""),
        ({"data": one(), "target": {"manifest": {"apiVersion": "v1", "kind": "ConfigMap"}}}, ""),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_cannot_be_followed_stays_a_todo_and_says_why(
    spec: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    result = imported([pod(), STORE, external(**spec)], tmp_path)
    (secret,) = needed(result)

    assert ("TODO/db", {"env": {"X": "password"}}) == (secret.path, secret.arguments)
    assert reason in secret.comments[0]
    assert "hunter" not in str(result)


def test_a_path_that_was_followed_can_still_be_said_otherwise_where_it_was_not(tmp_path: Path) -> None:
    given = migrate.of_documents([pod(), STORE, external(dataFrom=[{"find": {"path": "a"}}])], "given.yaml")
    target = Target(tmp_path, "etl", "pod", paths={"db": "secret/etl/db"}, origins=Origins.of(given.objects))
    (secret,) = needed(migrate.import_pods(given.pods, target))

    assert ("secret/etl/db", ()) == (secret.path, secret.comments)


def test_a_name_counts_in_its_own_namespace_alone(tmp_path: Path) -> None:
    documents = [STORE, external(namespace="a", data=one("a/db")), external(namespace="b", data=one("b/db"))]
    of_a = needed(imported([pod(namespace="a"), *documents], tmp_path))
    of_c = needed(imported([pod(namespace="c"), *documents], tmp_path))
    of_none = needed(imported([pod(), *documents], tmp_path))
    of_one = needed(imported([pod(), *documents[:2]], tmp_path))

    assert ["secret/a/db"] == [secret.path for secret in of_a]
    assert ["TODO/db"] == [secret.path for secret in of_c]
    assert "are of another namespace than 'c'" in of_c[0].comments[0]
    assert ["TODO/db"] == [secret.path for secret in of_none]
    assert "there is one in each of a, b, and the pod names no namespace" in of_none[0].comments[0]
    assert ["secret/a/db"] == [secret.path for secret in of_one]


def test_a_pod_without_a_namespace_is_of_its_teams(tmp_path: Path) -> None:
    (tmp_path / "etl").mkdir()
    (tmp_path / "platform.yaml").write_text("pod_security: baseline\n")
    team = "namespace: b\nservice_account: etl\nvault_role: etl\nimages: {etl: 'etl:7'}\nsecrets: [secret/*]\n"
    (tmp_path / "etl" / "team.yaml").write_text(team)
    documents = [STORE, external(namespace="a", data=one("a/db")), external(namespace="b", data=one("b/db"))]

    assert ["secret/b/db"] == [secret.path for secret in needed(imported([pod(), *documents], tmp_path))]


def test_a_store_of_another_namespace_is_not_the_one(tmp_path: Path) -> None:
    store = {**STORE, "metadata": {"name": "vault", "namespace": "b"}}
    (secret,) = needed(imported([pod(namespace="a"), store, external(namespace="a", data=one())], tmp_path))

    assert "SecretStore 'vault', which is not among the files" in secret.comments[0]


def test_a_cluster_external_secret_is_in_the_namespaces_that_it_names(tmp_path: Path) -> None:
    def of(selection: dict[str, Any]) -> list[str]:
        spec = {"externalSecretSpec": {"secretStoreRef": {"name": "vault"}, "data": one()}, **selection}
        given = external(kind="ClusterExternalSecret", **spec)
        return [secret.path for secret in needed(imported([pod(namespace="a"), STORE, given], tmp_path))]

    assert ["secret/etl/db"] == of({"namespaces": ["a", "b"]})
    assert ["TODO/db"] == of({"namespaces": ["b"]})
    assert ["secret/etl/db"] == of({"namespaceSelector": {"matchLabels": {"team": "etl"}}})
    assert ["TODO/db"] == of({"namespaceSelectors": [{"matchLabels": {"kubernetes.io/metadata.name": "b"}}]})


def test_two_objects_that_fill_one_secret_are_read_together(tmp_path: Path) -> None:
    base = pod(key="password")
    base["spec"]["containers"][0]["env"].append(
        {"name": "Y", "valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}}
    )
    more = [{"secretKey": "user", "remoteRef": {"key": "etl/more", "property": "name"}}]
    merge = {"name": "db", "creationPolicy": "Merge"}
    other = external("more", data=more, target=merge)
    clash = external("clash", data=one("etl/other"), target=merge)
    paths = [s.path for s in needed(imported([base, STORE, external(data=one()), other], tmp_path))]
    both = needed(imported([base, STORE, external(data=one()), other, clash], tmp_path))

    assert ["secret/etl/db", "secret/etl/more"] == paths
    assert {"TODO/db", "secret/etl/more"} == {secret.path for secret in both}
    assert "both give it" in " ".join(text for secret in both for text in secret.comments)


def test_the_older_form_of_an_external_secret_is_read_as_well(tmp_path: Path) -> None:
    given = {**external(dataFrom=[{"key": "etl/db"}]), "apiVersion": "external-secrets.io/v1alpha1"}

    assert [("secret/etl/db", {"env": {"X": "password"}})] == as_given(imported([pod(), STORE, given], tmp_path))


def test_a_secret_as_the_cluster_has_it_does_not_hide_what_made_it(tmp_path: Path) -> None:
    held = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db"},
        "data": {"password": base64.b64encode(b"Zx66hunter").decode(), "odd": "\xff", "number": 3},
    }
    result = imported([pod(), STORE, held, external(data=one())], tmp_path)

    assert [("secret/etl/db", {"env": {"X": "password"}})] == as_given(result)
    assert "hunter" not in str(result)


ODD: list[Any] = [None, 3, "x", [], ["x"], [3], {}, {"x": 3}, [{"x": []}], True]
KINDS = [
    ("external-secrets.io/v1", "ExternalSecret"),
    ("external-secrets.io/v1", "ClusterExternalSecret"),
    ("external-secrets.io/v1", "SecretStore"),
    ("generators.external-secrets.io/v1alpha1", "VaultDynamicSecret"),
    ("secrets.hashicorp.com/v1beta1", "VaultStaticSecret"),
    ("secrets.hashicorp.com/v1beta1", "VaultDynamicSecret"),
    ("secrets.hashicorp.com/v1beta1", "VaultPKISecret"),
    ("secrets.hashicorp.com/v1beta1", "SecretTransformation"),
    ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass"),
    ("v1", "Secret"),
]
FIELDS = [
    *("spec", "spec.data", "spec.dataFrom", "spec.target", "spec.target.template", "spec.secretStoreRef"),
    *("spec.provider", "spec.provider.vault", "spec.destination", "spec.destination.transformation"),
    *("spec.parameters", "spec.parameters.objects", "spec.secretObjects", "spec.mount", "spec.params"),
    *("spec.templates", "spec.namespaces", "spec.namespaceSelectors", "spec.externalSecretSpec"),
    *("metadata", "metadata.name", "metadata.namespace", "data", "stringData"),
]


@pytest.mark.parametrize(("version", "kind"), KINDS)
def test_whatever_stands_in_such_an_object_the_import_goes_on(version: str, kind: str, tmp_path: Path) -> None:
    documents: list[dict[str, Any]] = []
    for field, odd in itertools.product(FIELDS, ODD):
        item: dict[str, Any] = {"apiVersion": version, "kind": kind, "metadata": {"name": "db"}}
        inner = item
        *holders, last = field.split(".")
        for key in holders:
            inner = inner.setdefault(key, {})
        inner[last] = odd
        documents.append(item)
    origins = Origins.of(documents)
    for secret in ("db", "x", ""):
        origins.secret(secret, "a")
        origins.secret(secret, "")
        origins.provider_class(secret, "")

    assert ["TODO/other"] == [s.path for s in needed(imported([pod("other"), *documents], tmp_path))]


def test_what_tells_of_paths_may_lie_in_another_file_and_is_listed_as_read_for_them(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(pod()))
    (tmp_path / "secrets.yaml").write_text(yaml.safe_dump_all([STORE, external(namespace="a", data=one())]))
    (tmp_path / "other.yaml").write_text("kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\n")

    def ran(*files: str) -> Any:
        names = [tmp_path / file for file in files]
        return run("templates", "import", *names, "--team", "etl", "--templates-dir", tmp_path / "t")

    done = ran("job.yaml", "secrets.yaml")
    assert "TODO/" not in done.out
    assert "etl/job" in done.out
    assert 'VaultSecret("secret/etl/db", env={"X": "password"})' in done.out
    printed = " ".join(done.out.split())
    assert "secrets.yaml was read for its paths of Vault: SecretStore vault, ExternalSecret a/db." in printed
    alone = ran("secrets.yaml")
    assert 2 == alone.status
    assert "None of the files has a pod" in alone.err
    assert "read for its paths" in alone.err
    assert "has no pod" in ran("job.yaml", "other.yaml").err


@pytest.mark.parametrize("context", [{"runAsUser": 1000}, {"fsGroup": 1000}, {}])
def test_a_mode_that_the_operator_would_refuse_for_want_of_a_user_is_a_todo(
    context: dict[str, int], tmp_path: Path
) -> None:
    given = pod(volumeMounts=[{"name": "keys", "mountPath": "/home/etl/keys"}])
    volume = {"secretName": "db", "defaultMode": 0o440, "items": [{"key": "password", "path": "pw"}]}
    given["spec"] |= {"volumes": [{"name": "keys", "secret": volume}], "securityContext": context}
    result = imported([given, STORE, external(data=one())], tmp_path)

    assert ("mode 0440 needs the container's user" in comments(result)) is (context == {})
