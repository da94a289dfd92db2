"""Pods as people have them become templates: the same pod again, but for what is told."""

from __future__ import annotations

import ast
import contextlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.cli import cli_parser

from airflow_k8s_vault import VaultSecret, migrate, templates
from airflow_k8s_vault.errors import MigrationError
from airflow_k8s_vault.migrate import Imported, Target
from airflow_k8s_vault.policy import flatten, shown_path
from airflow_k8s_vault.templates import lint_folder, lint_templates
from tests.commands.test_templates import run
from tests.commands.test_terminal import Terminal

PODS = Path(__file__).parent / "pods"
NAMES = sorted(file.stem for file in PODS.glob("*.yaml"))
BASES = {"several-containers": "loader"}


def imported(text: str, root: Path, base: str | None = None, name: str = "pod", **more: Any) -> Imported:
    pods = migrate.of_documents(migrate.read(text, "pod.yaml"), "pod.yaml").pods
    return migrate.import_pods(pods, Target(root, "etl", name, base, **more))


def written(result: Imported, root: Path) -> Path:
    for name, text in result.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def pod(**spec: Any) -> str:
    base = {"name": "base", "image": "python:3.12-slim"}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [base], **spec}})


def of_container(**fields: Any) -> str:
    return pod(containers=[{"name": "base", "image": "python:3.12-slim", **fields}])


@pytest.mark.parametrize("name", NAMES)
def test_the_template_gives_the_same_pod_again_but_for_what_is_told(name: str, tmp_path: Path) -> None:
    text = (PODS / f"{name}.yaml").read_text()
    given = migrate.of_documents(migrate.read(text, "pod.yaml"), "pod.yaml").pods[0]
    result = imported(text, tmp_path, BASES.get(name))
    root = written(result, tmp_path)
    rendered = flatten(templates.find("etl/pod", root).render({}))
    own = next(
        c["name"]
        for c in given.pod["spec"]["containers"]
        if c["name"] in (BASES.get(name), "base")
        or len(given.pod["spec"]["containers"]) == 1
        or c["name"] == "etl"
    )

    (fates,) = result.fates.values()
    fate_by_path = {fate.path: fate for fate in fates}
    seen = {}
    for path, value in flatten(given.pod).items():
        fate = next(fate_by_path[path[:n]] for n in range(len(path), 0, -1) if path[:n] in fate_by_path)
        now = tuple(
            "base" if at == 2 and step == own and path[1] == "containers" else step for at, step in enumerate(path)
        )
        seen[now] = fate.verdict
        if fate.verdict == "kept":
            assert (path, value) == (path, rendered.get(now))
        else:
            assert fate.why, path
        if fate.verdict in ("left out", "VaultSecret") and "kept" not in fate.why:
            assert now not in rendered
    # Nothing that the input has not.
    assert [
        p
        for p in rendered
        if p not in seen
        and p[:2] not in (("metadata", "namespace"), ("spec", "serviceAccountName"))
        and not p[-1].endswith("/base")
    ] == []
    assert [
        finding for finding in [*lint_folder(root), *lint_templates("etl", root)] if finding.severity == "error"
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_code_to_paste_is_python_and_each_secret_of_it_is_sound(name: str, tmp_path: Path) -> None:
    result = imported((PODS / f"{name}.yaml").read_text(), tmp_path, BASES.get(name))
    (source,) = ("\n".join(result.call(each, "etl/pod")) for each in result.fates)

    (call,) = ast.parse(source).body
    secrets = [key.value for key in call.value.keywords if key.arg == "vault_secrets"]  # type: ignore[attr-defined]
    made = eval(ast.unparse(secrets[0]), {"VaultSecret": VaultSecret}) if secrets else []
    assert [error for secret in made for error in secret.mistakes()] == []
    assert max(map(len, source.splitlines())) <= 90


def fates_of(name: str, root: Path) -> set[str]:
    result = imported((PODS / f"{name}.yaml").read_text(), root, BASES.get(name))
    (fates,) = result.fates.values()
    return {f"{fate.row()['field']} {fate.verdict}" for fate in fates if fate.verdict != "kept"}


def test_of_a_live_pod_only_what_somebody_wrote_is_taken_over(tmp_path: Path) -> None:
    result = imported((PODS / "istio-live.yaml").read_text(), tmp_path)
    made = templates.find("etl/pod", written(result, tmp_path)).render({})

    assert {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "annotations": {
                "proxy.istio.io/config": '{"holdApplicationUntilProxyStarts": true}',
                "kubectl.kubernetes.io/default-container": "base",
            },
            "labels": {"app": "etl"},
            "namespace": "team-etl",
        },
        "spec": {
            "containers": [
                {"name": "base", "image": "registry.example.com/etl:7", "command": ["python", "-m", "etl"]}
            ],
            "restartPolicy": "Never",
            "serviceAccountName": "etl",
        },
    } == made


def test_annotations_of_the_injector_become_the_secrets_that_they_name(tmp_path: Path) -> None:
    result = imported((PODS / "injector.yaml").read_text(), tmp_path)

    assert [
        (
            "database/creds/payments-ro",
            {"engine": "dynamic", "env": {"PGUSER": "username", "PGPASSWORD": "password"}},
        ),
        ("secret/payments/partner", {"file": "partner.key", "key": "api_key", "mode": "0400"}),
        ("secret/payments/config", {"file": "config", "directory": "/home/app/config"}),
    ] == [(one.path, one.arguments) for one in result.needed["pod.yaml"]]
    assert "vault_role: payments\n" in result.files["etl/team.yaml"]
    assert "- database/creds/payments-ro\n" in result.files["etl/team.yaml"]


def test_references_of_bank_vaults_become_the_secrets_that_they_name(tmp_path: Path) -> None:
    result = imported((PODS / "bank-vaults.yaml").read_text(), tmp_path)

    assert [
        ("secret/etl/all", {"env": ["TODO_KEY"]}),
        ("secret/etl/warehouse", {"env": {"PGPASSWORD": "password"}}),
        ("secret/etl/api", {"env": {"OLD_TOKEN": "token"}, "version": 3}),
    ] == [(one.path, one.arguments) for one in result.needed["pod.yaml"]]


def test_secrets_of_kubernetes_become_todos_with_their_container_place_and_keys(tmp_path: Path) -> None:
    result = imported((PODS / "git-sync.yaml").read_text(), tmp_path)

    assert [
        (
            "TODO/airflow-ssh",
            {
                "files": {"ssh": "gitSshKey"},
                "mode": "0440",
                "directory": "/etc/git-secret",
                "container": "git-sync-init",
            },
        ),
        ("TODO/airflow-fernet-key", {"env": {"AIRFLOW__CORE__FERNET_KEY": "fernet-key"}}),
        ("TODO/airflow-metadata", {"env": {"AIRFLOW_CONN_AIRFLOW_DB": "connection"}}),
    ] == sorted(
        ((one.path, one.arguments) for one in result.needed["pod.yaml"]), key=lambda o: o[0] != "TODO/airflow-ssh"
    )


def test_a_credential_in_plain_text_is_nowhere_in_what_is_written_or_said(tmp_path: Path) -> None:
    ran = run("templates", "import", PODS / "literals.yaml", "--team", "etl", "--templates-dir", tmp_path)
    files = "".join(file.read_text() for file in tmp_path.rglob("*.*"))

    assert 1 == ran.status
    assert "hunter" not in ran.out + ran.err + files
    assert 'env={"PGPASSWORD": "TODO_key"}' in ran.out
    assert "spec.containers[base].args was left out" in " ".join(ran.out.split())
    assert "--table" not in files


def test_what_differs_between_inputs_becomes_variables_that_give_each_of_them_again(tmp_path: Path) -> None:
    def one(memory: str, image: str, claim: str | None, words: list[str]) -> str:
        volume = {
            "name": "data",
            **({"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}),
        }
        resources = {"limits": {"memory": memory}, "requests": {"memory": memory, "cpu": 1}}
        base = {
            "name": "base",
            "image": image,
            "args": words,
            "resources": resources,
            "env": [{"name": "TABLE", "value": words[0]}],
        }
        return pod(containers=[base], volumes=[volume], **({"priorityClassName": "high"} if claim else {}))

    text = "---\n".join(
        [
            one("1Gi", "etl:1", None, ["a"]),
            one("4Gi", "etl:2", "big", ["b", "c"]),
            one("1Gi", "etl:1", "big", ["a"]),
        ]
    )
    pods = migrate.of_documents(migrate.read(text, "pods.yaml"), "pods.yaml").pods
    result = migrate.import_pods(pods, Target(tmp_path, "etl", "pod"))
    template = templates.find("etl/pod", written(result, tmp_path))

    for given in pods:
        rendered = template.render(result.variables[given.name])
        assert given.pod["spec"] == {k: v for k, v in rendered["spec"].items() if k != "serviceAccountName"}
    schemas = {name: variable.schema for name, variable in template.variables.variables.items()}
    assert {"memory", "image", "data", "args", "table", "priority_class_name"} == set(schemas)
    assert {"type": "quantity", "default": "1Gi", "minimum": "1Gi", "maximum": "4Gi"}.items() <= schemas[
        "memory"
    ].items()
    assert ["etl", "etl_2"] == schemas["image"]["enum"]
    assert {
        "memory": "4Gi",
        "image": "etl_2",
        "priority_class_name": "high",
        "args": ["b", "c"],
        "table": "b",
        "data": {"name": "data", "persistentVolumeClaim": {"claimName": "big"}},
    } == result.variables[pods[1].name]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BOMB, "its aliases written out, has more than 50,000 values"),
        ("a: &a [*a]\n", r"line 1: alias '\*a' stands for nothing before it"),
        ("[" * 100_000, "nested deeper than 60 levels"),
        ("a: 1\na: 2\n", "line 2: key 'a' is there twice"),
        ("a: !!python/object/apply:os.system [x]\n", "no pod|tag|no object"),
        ("a: 'never closed\n", "no valid YAML"),
        ("a: \x00\n", "no valid YAML"),
        ("just text", "no object of Kubernetes"),
        ("", "has no pod.\n  Found: nothing"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}", "Found: ConfigMap c"),
        ("{apiVersion: v1, kind: List, items: []}", "has no pod"),
        ("{kind: Pod, spec: {containers: []}}", "spec.containers is missing, empty"),
        ("{kind: Pod, spec: 3}", "spec.containers is missing"),
        ("{kind: Job, metadata: [x], spec: {template: {spec: {containers: [3]}}}}", "spec.containers is missing"),
        (
            "{kind: Pod, metadata: x, spec: {containers: [{name: base, image: 'a:1'}]}}",
            "metadata must be a mapping",
        ),
        (
            of_container(env=[{"name": "PGPASSWORD", "value": 12345678}]),
            r"value must be text \(put it in quotes\)\.$",
        ),
        (of_container(name=None), "name is missing"),
        (of_container(image="python"), "name a version(.|\n)*--image python=python:3.12-slim"),
        (of_container(image="{{ var.value.image }}"), "would not pass"),
        (pod(containers=[{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]), "--base a"),
        (pod(containers=[{"name": "base", "image": "a:1"}, {"name": "base", "image": "b:1"}]), "twice"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_pod_for_a_template_is_refused_with_its_reason(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(MigrationError) as refused:
        imported(text, tmp_path)

    assert re.search(sentence, str(refused.value)), str(refused.value)
    assert "12345678" not in str(refused.value)


def test_text_that_a_template_or_yaml_could_read_as_its_own_arrives_as_it_was(tmp_path: Path) -> None:
    texts = [
        "{{ ds }}",
        "{% endraw %}",
        "{# x #}",
        "\ue0000\ue001",
        "a\n b\n",
        "yes",
        "0x1f",
        "~",
        "- a",
        "é\u2028",
        "#}",
        "'\"\\",
        " lead",
        "1e3",
        "x" * 3000,
        "{{ '\\n' }}\n{{",
        "2026-01-31",
        "&a",
        "!!str",
        "\t",
        "\x7f😀{{",
    ]
    env = [{"name": f"V{number}", "value": text} for number, text in enumerate(texts)]
    text = of_container(env=env) + "metadata: {annotations: {'a{{b': c}}\n"
    result = imported(text, tmp_path)
    rendered = templates.find("etl/pod", written(result, tmp_path)).render({})

    assert env == rendered["spec"]["containers"][0]["env"]
    assert {"a{{b": "c"} == rendered["metadata"]["annotations"]


def test_a_file_that_is_there_is_changed_only_when_that_is_said_and_keeps_its_comments(tmp_path: Path) -> None:
    def ran(*more: object) -> Any:
        return run("templates", "import", file, "--team", "etl", "--templates-dir", tmp_path, "-o", "json", *more)

    (tmp_path / "etl").mkdir()
    (tmp_path / "platform.yaml").write_text("pod_security: baseline\n")
    team = tmp_path / "etl" / "team.yaml"
    before = "namespace: etl # ours\nservice_account: etl\nvault_role: etl\nimages: {old: 'old:1'} # kept\n"
    team.write_text(before)
    file = tmp_path / "job.yaml"
    file.write_text(pod(imagePullSecrets=[{"name": "hub"}], serviceAccountName="other"))

    refused = ran()
    assert (2, before) == (refused.status, team.read_text())
    assert not (tmp_path / "etl" / "job.yaml.j2").exists()
    assert "--overwrite" in refused.err
    done = ran("--overwrite")
    assert 0 == done.status, done.err
    assert (
        before.replace("{old", "{python: python:3.12-slim, old") + "image_pull_secrets:\n  - hub\n"
        == team.read_text()
    )
    account = next(row for row in done.json()["inputs"][0]["fields"] if row["field"] == "spec.serviceAccountName")
    assert ("changed", "'etl', as " in account["why"]) == (account["becomes"], True)
    assert {"as it was"} == {row["state"] for row in ran().json()["files"]}


def test_a_pod_that_needs_more_than_the_platform_gives_is_refused_and_widens_nothing(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text("pod_security: restricted\n")

    with pytest.raises(MigrationError, match="pods need 'privileged'"):
        imported((PODS / "docker-in-docker.yaml").read_text(), tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_the_report_is_readable_in_80_columns(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.chdir(tmp_path)
    shutil.copy(PODS / f"{name}.yaml", "pod.yaml")
    base = ("--base", BASES[name]) if name in BASES else ()
    arguments = cli_parser.get_parser().parse_args(
        ["k8s-vault", "templates", "import", "pod.yaml", "--team", "etl", "--templates-dir", "t", *base]
    )
    screen = Terminal()
    with contextlib.redirect_stdout(screen), contextlib.suppress(SystemExit):
        arguments.func(arguments)

    lines = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).splitlines()
    assert any("becomes" in line for line in lines)
    assert [] == [line for line in lines if len(line.rstrip()) > 80 and str(tmp_path) not in line]


def test_jinja_beside_a_credential_takes_it_into_no_code(tmp_path: Path) -> None:
    base = {
        "name": "base",
        "image": "python:3.12-slim",
        "args": ["--password", "Zx85hunter", "{{ ds }}"],
        "env": [
            {"name": "DSN", "value": "postgres://etl:Zx86hunter@db/{{ ds }}"},
            {"name": "DAY", "value": "{{ ds }}"},
        ],
    }
    given = migrate.InputPod("t", yaml.safe_load(pod(containers=[base])), True, "base", True)
    result = migrate.import_pods([given], Target(tmp_path, "etl", "pod"))
    code = "\n".join(result.call("t", "etl/pod"))

    assert 'env_vars={"DAY": "{{ ds }}"}' in code
    assert "hunter" not in code + "".join(result.files.values()) + str(result.fates) + str(result.notes)


def test_containers_that_differ_as_a_whole_become_one_variable(tmp_path: Path) -> None:
    two = pod(containers=[{"name": "base", "image": "a:1"}, {"name": "side", "image": "b:1"}])
    result = imported(f"{pod()}---\n{two}", tmp_path)
    template = templates.find("etl/pod", written(result, tmp_path))

    assert ["containers"] == list(template.variables.variables)
    assert 2 == len(template.render(list(result.variables.values())[1])["spec"]["containers"])


def test_only_paths_of_vault_become_a_new_teams_ceiling_and_one_that_is_there_is_told_what_it_lacks(
    tmp_path: Path,
) -> None:
    env = [
        {"name": "AIRFLOW_CONN_WAREHOUSE", "value": "{{ conn.warehouse.get_uri() }}"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
        {"name": "PGPASSWORD", "value": "vault:secret/data/etl/db#password"},
    ]
    given = migrate.InputPod("t", yaml.safe_load(of_container(env=env)), True, "base", True)
    target = Target(tmp_path, "etl", "pod", paths={"api": "secret/etl/api"})
    first = migrate.import_pods([given], target)
    root = written(first, tmp_path)
    (root / "etl" / "team.yaml").write_text(first.files["etl/team.yaml"].replace("  - secret/etl/api\n", ""))
    again = migrate.import_pods([given], target)

    assert "secrets:\n  - secret/etl/api\n  - secret/etl/db\n" in first.files["etl/team.yaml"]
    assert 'VaultSecret.connection("warehouse")' in first.code("t")
    assert ["Team 'etl' may not read secret/etl/api: add it to secrets"] == [
        n.partition(" (")[0] for n in again.notes
    ]


def test_a_null_in_a_list_without_names_is_told_where_it_is_dropped(tmp_path: Path) -> None:
    anything = {"key": None, "operator": "Exists"}
    claim = {"name": "gpu", "request": None}
    text = pod(
        tolerations=[anything, {"key": "spot", "operator": "Exists", "value": None}],
        containers=[{"name": "base", "image": "etl:7", "resources": {"claims": [claim]}, "stdin": None}],
    )
    result = imported(text, tmp_path)
    (fates,) = result.fates.values()

    assert {
        "spec.tolerations changed": "without its keys that are null, which say nothing",
        "spec.containers[base].resources.claims changed": "without its keys that are null, which say nothing",
    } == {f"{shown_path(fate.path)} {fate.verdict}": fate.why for fate in fates if fate.verdict == "changed"}
    spec = templates.find("etl/pod", written(result, tmp_path)).render({})["spec"]
    assert [{"operator": "Exists"}, {"key": "spot", "operator": "Exists"}] == spec["tolerations"]


def test_a_credential_in_a_probe_a_hook_or_a_drivers_options_is_left_out_and_shown_nowhere(tmp_path: Path) -> None:
    probe = {"exec": {"command": ["curl", "-u", "admin:Zx10hunter", "http://x"]}, "periodSeconds": 5}
    header = {"name": "X-Api-Password", "value": "Zx11hunter"}
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "login --password Zx12hunter"]}}}
    base = {
        "name": "base",
        "image": "etl:7",
        "livenessProbe": probe,
        "readinessProbe": {"httpGet": {"port": 80, "httpHeaders": [header]}},
        "lifecycle": hook,
    }
    flex = {"name": "f", "flexVolume": {"driver": "acme/x", "options": {"password": "Zx13hunter", "share": "a"}}}
    result = imported(pod(containers=[base], volumes=[flex]), tmp_path)
    made = templates.find("etl/pod", written(result, tmp_path)).render({})["spec"]
    (fates,) = result.fates.values()

    assert "hunter" not in str(result)
    assert {
        "spec.containers[base].livenessProbe",
        "spec.containers[base].readinessProbe.httpGet.httpHeaders",
        "spec.containers[base].lifecycle.postStart",
        "spec.volumes[f].flexVolume.options.password",
    } == {shown_path(fate.path) for fate in fates if "not shown" in fate.why}
    assert [] == [key for key in ("livenessProbe", "lifecycle") if made["containers"][0].get(key)]
    assert {"share": "a"} == made["volumes"][0]["flexVolume"]["options"]


def test_pods_that_lie_in_a_config_map_or_in_an_object_of_another_kind_are_read(tmp_path: Path) -> None:
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "r", "namespace": "n"},
        "spec": {"template": {"spec": {"containers": [{"name": "base", "image": "etl:7"}]}}},
    }
    files = {"pod.yaml": pod(hostname="h"), "airflow.cfg": "[core]", "other.yaml": "{a: [", "values.yaml": "a: 1"}
    given = migrate.of_documents(
        [{"kind": "ConfigMap", "data": files}, {"kind": "ConfigMap", "data": {"a.yaml": 3}}, rollout], "all.yaml"
    )

    assert ["all.yaml (document 1) (pod.yaml)", "all.yaml (document 3)"] == [one.name for one in given.pods]
    assert "n" == given.pods[1].pod["metadata"]["namespace"]
    assert ["all.yaml (document 2) is no pod, and none is made of it: ConfigMap."] == given.others


def test_what_is_said_of_a_kept_field_and_of_an_optional_secret_is_shown(tmp_path: Path) -> None:
    secret = {"secretRef": {"name": "all", "optional": True}}
    volume = {"name": "s", "secret": {"secretName": "files", "optional": True}}
    base = {
        "name": "base",
        "image": "etl:7",
        "envFrom": [secret],
        "volumeMounts": [{"name": "s", "mountPath": "/"}],
    }
    result = imported(pod(containers=[base], volumes=[volume], imagePullSecrets=[{"name": "hub"}]), tmp_path)
    (fates,) = result.fates.values()
    code = " ".join(result.code("pod.yaml").replace("#", "").split())

    assert "and in team.yaml: image_pull_secrets" in {fate.why for fate in fates}
    assert "Secret 'all' was optional: a secret of Vault has to be there." in code
    assert "Secret 'files' was optional: a secret of Vault has to be there." in code
    assert "the program looked in /, where no files can be" in code


def test_a_live_pod_and_one_that_leaves_its_restart_policy_out_are_one_template_without_a_variable_for_it(
    tmp_path: Path,
) -> None:
    token = {"name": "kube-api-access-x7x", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    debugger = {"name": "debugger", "image": "busybox:1"}
    live = yaml.safe_load(pod(restartPolicy="Always", volumes=[token], ephemeralContainers=[debugger]))
    text = yaml.safe_dump_all([{**live, "metadata": {"uid": "1"}}, yaml.safe_load(pod())])
    result = imported(text, tmp_path)

    assert [{}, {}] == list(result.variables.values())
    reasons = {shown_path(fate.path): fate.why for fate in next(iter(result.fates.values()))}
    assert "`kubectl debug` put them into the running pod" == reasons["spec.ephemeralContainers"]
    assert "the cluster adds the service account's token" == reasons["spec.volumes[kube-api-access-x7x]"]
