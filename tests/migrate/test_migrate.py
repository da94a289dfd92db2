"""DAGs of KubernetesPodOperator: what moving them takes, and the patch for those that are simple."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_k8s_vault import config, migrate
from airflow_k8s_vault.migrate import DagTask, InputPod, Target
from tests.commands.test_templates import Ran, run

DAG = Path(__file__).parent / "dags" / "loads.py"
TEAM = """\
namespace: team-etl
service_account: etl
vault_role: etl
images: {etl: "registry.example.com/etl:7"}
secrets: [secret/etl/*]
overridable: [arguments, cmds, env_vars, container_resources]
"""
TEMPLATE = """\
apiVersion: v1
kind: Pod
spec:
  containers:
    - name: base
      image: {{ images.etl }}
"""
PATHS = ("--vault-path", "slack=secret/etl/slack", "--vault-path", "connections/warehouse=secret/etl/warehouse")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "pod_templates"
    (root / "etl").mkdir(parents=True)
    (root / "platform.yaml").write_text("pod_security: baseline\n")
    (root / "etl" / "team.yaml").write_text(TEAM)
    (root / "etl" / "small.yaml.j2").write_text(TEMPLATE)
    return root


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    shutil.copy(DAG, folder)
    return folder


def migrated(dags: Path, root: Path, *more: object) -> Ran:
    return run("migrate", "--dags", dags, "--templates-dir", root, *more)


def test_the_report_says_of_each_task_what_moving_it_takes(dags: Path, root: Path) -> None:
    ran = migrated(dags, root, "-o", "json", *PATHS)
    rows = {row["task"]: row for row in ran.json()}

    assert 1 == ran.status
    assert ["loads.check", "loads.load", "loads.mapped", "loads.named", "loads.other"] == sorted(rows)
    assert ("etl/small", "patch", []) == tuple(rows["loads.load"][key] for key in ("template", "how", "why"))
    assert [
        'VaultSecret("secret/etl/warehouse", env={"PGPASSWORD": "password"})',
        'VaultSecret("secret/etl/slack", env={"SLACK_TOKEN": "token"})',
    ] == rows["loads.load"]["vault_secrets"]
    assert ["env_vars[PGPASSWORD]: connection 'warehouse', by Jinja"] == rows["loads.load"]["credentials"]
    assert {"spec.containers[base].image", "spec.dnsPolicy"} == set(rows["loads.other"]["differs"])
    assert ["annotations"] == rows["loads.named"]["open"]
    assert "overridable would have to open annotations" in rows["loads.named"]["why"][0]
    assert "it is mapped" in rows["loads.mapped"]["why"][0]
    assert ["arguments: variable 'api_key', by Jinja"] == rows["loads.mapped"]["credentials"]


@pytest.mark.parametrize("form", ["table", "json", "yaml", "markdown", "patch"])
def test_no_form_shows_a_credential_that_stands_in_the_dag(form: str, dags: Path, root: Path) -> None:
    ran = migrated(dags, root, *(["--patch"] if form == "patch" else ["-o", form]), *PATHS)

    assert "hunter" not in ran.out + ran.err
    assert "loads.other" in ran.out + ran.err


def test_markdown_has_a_box_for_each_task_and_each_thing_to_do(dags: Path, root: Path) -> None:
    lines = migrated(dags, root, "-o", "markdown", *PATHS).out.splitlines()

    assert 5 == sum(line.startswith("- [ ] ") for line in lines)
    assert "- [ ] `loads.load` (KubernetesPodOperator) → `etl/small`: patch" in lines
    assert "  - [ ] differs from etl/small: `spec.dnsPolicy`" in lines


def test_the_patch_keeps_formatting_and_comments_and_changes_nothing_unasked(dags: Path, root: Path) -> None:
    before = DAG.read_text()
    ran = migrated(dags, root, "--patch", *PATHS)

    assert before == (dags / "loads.py").read_text()
    changed = [line for line in ran.out.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert [
        "-from airflow.providers.cncf.kubernetes.secret import Secret",
        "+from airflow_k8s_vault import VaultPodOperator, VaultSecret",
        "-    load = KubernetesPodOperator(",
        "+    load = VaultPodOperator(",
        '-        namespace="team-etl",',
        '-        image="registry.example.com/etl:7",  # pinned',
        '+        pod_template="etl/small",',
        "+        vault_secrets=[",
        '+            VaultSecret("secret/etl/warehouse", env={"PGPASSWORD": "password"}),',
        '+            VaultSecret("secret/etl/slack", env={"SLACK_TOKEN": "token"}),',
        "+        ],",
        '-            "PGPASSWORD": "{{ conn.warehouse.password }}",',
        '-        secrets=[Secret("env", "SLACK_TOKEN", "slack", "token")],',
        '-        service_account_name="etl",',
        '-    check = KubernetesPodOperator(task_id="check", image="registry.example.com/etl:7", cmds=["check"])',
        '+    check = VaultPodOperator(task_id="check", pod_template="etl/small", cmds=["check"])',
    ] == [line for line in changed if '"PGHOST"' not in line]
    for comment in ("# one day", "# the host", "# What runs.", "# Small."):
        assert not any(comment in line for line in changed if '"PGHOST"' not in line)


def test_what_is_written_is_imported_as_tasks_of_the_package(
    dags: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = migrated(dags, root, "--write", *PATHS)
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    with config.replaced("templates_dir", str(root)):
        bag = DagBag(dags / "loads.py")

    assert 1 == ran.status
    assert {} == bag.import_errors
    kinds = {task.task_id: type(task).__name__ for task in bag.dags["loads"].tasks}
    assert ("VaultPodOperator", "VaultPodOperator") == (kinds["load"], kinds["check"])
    assert ("KubernetesPodOperator", "KubernetesPodOperator") == (kinds["named"], kinds["other"])


def patched(source: str, *tasks: str, **more: Any) -> migrate.Patched:
    from airflow_k8s_vault.migrate.patch import Change

    change = {"dropped": frozenset(), "needed": (), "variables": frozenset(), **more}
    return migrate.patched(textwrap.dedent(source), {task: Change("etl/small", **change) for task in tasks})


IMPORT = "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator as Pod\n"


@pytest.mark.parametrize(
    ("source", "more", "reason"),
    [
        ("Pod(task_id='a', **common)", {}, r"arguments without a name"),
        ("Pod(task_id='a')\nPod(task_id='a')", {}, "2 calls in its file"),
        ("Pod(task_id=name)", {}, "no call in its file"),
        ("Pod(task_id='a', env_vars=common)", {"variables": frozenset({"X"})}, "env_vars are not written out"),
        ("Pod(task_id='a')", {"dropped": frozenset({"image"})}, "default_args, not its call, gives it image"),
        ("Pod(task_id='a'", {}, "libcst cannot read the file"),
    ],
)
def test_a_call_that_is_not_simple_is_left_as_it_is(source: str, more: dict[str, Any], reason: str) -> None:
    result = patched(IMPORT + source, "a", **more)

    assert (IMPORT + source, ()) == (result.text, result.done)
    assert reason in result.left["a"]


def test_an_imported_name_is_found_by_its_alias_and_goes_when_nothing_uses_it_any_more() -> None:
    result = patched(IMPORT + "x = Pod(task_id='a', image='b')\n", "a", dropped=frozenset({"image"}))

    assert (
        "from airflow_k8s_vault import VaultPodOperator\n\n"
        "x = VaultPodOperator(task_id='a', pod_template=\"etl/small\")\n"
    ) == result.text


def test_a_task_of_which_a_locked_argument_says_something_is_left_to_a_person(root: Path) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "base", "image": "a:1"}]}}
    task = DagTask(
        "d.t", "d.py", "EksPodOperator", False, {"cluster_context": "other"}, InputPod("d", pod, True), ""
    )
    why = " ".join(migrate.report(task, [], Target(root, "", "")).by_hand)

    assert "EksPodOperator is more than KubernetesPodOperator" in why
    assert "cluster_context is never open to DAGs" in why


def test_a_task_of_a_dag_becomes_a_template_and_its_jinja_stays_in_the_dag(dags: Path, tmp_path: Path) -> None:
    ran = run(
        *("templates", "import", "--dag", f"{dags / 'loads.py'}:load", "--team", "new"),
        *("--templates-dir", tmp_path / "made", "-o", "json"),
    )
    (given,) = ran.json()["inputs"]

    assert "new/load" == ran.json()["template"]
    assert 'arguments=["--day", "{{ ds }}"]' in given["code"]
    assert '"TODO/connections/warehouse"' in given["code"]
    assert "{{ ds" not in (tmp_path / "made" / "new" / "load.yaml.j2").read_text()


def test_a_task_that_is_not_there_is_refused_with_those_that_are(dags: Path, tmp_path: Path) -> None:
    ran = run(
        "templates", "import", "--dag", f"{dags / 'loads.py'}:laod", "--team", "new", "--templates-dir", tmp_path
    )

    assert 2 == ran.status
    assert "loads.load" in ran.err.splitlines()[-1]


def test_a_pod_that_would_be_another_is_told_by_its_fields(root: Path) -> None:
    def pod(memory: Any, **more: Any) -> dict[str, Any]:
        base = {"name": "base", "image": "a:1", "resources": {"limits": {"memory": memory}}}
        return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [base], **more}}

    given = pod(1, hostname="h", restartPolicy="Never")
    task = DagTask("d.t", "d.py", "KubernetesPodOperator", True, {}, InputPod("d", given, True), "")
    report = migrate.report(task, [], Target(root, "", ""))

    assert [] == report.others(pod("1", hostname="h", subdomain="added"))
    assert ["spec.containers[base].resources.limits.memory", "spec.hostname"] == report.others(pod("2"))
