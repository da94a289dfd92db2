"""DAGs of KubernetesPodOperator: what moving them takes, and the patch for those that are simple."""

from __future__ import annotations

import shutil
import subprocess
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


HEAD = """\
import datetime
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

"""
ETL = 'image="registry.example.com/etl:7"'


def folder_of(tmp_path: Path, **files: str | bytes) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    for name, text in files.items():
        content = text if isinstance(text, bytes) else text.encode()
        (folder / f"{name}.py").write_bytes(content)
    return folder


def dag(name: str, *tasks: str) -> str:
    body = "".join(f"    {task}\n" for task in tasks)
    return f'{HEAD}with DAG("{name}", start_date=datetime.datetime(2026, 1, 1)):\n{body}'


def test_encoding_tabs_and_ends_of_lines_of_a_file_stay_and_its_patch_applies(tmp_path: Path, root: Path) -> None:
    task = f'KubernetesPodOperator(task_id="a", {ETL}, cmds=["Größe"])'
    folder = folder_of(
        tmp_path,
        crlf=dag("crlf", task).replace("\n", "\r\n"),
        latin=f"# -*- coding: latin-1 -*-\n{dag('latin', task)}".encode("latin-1"),
        mark=b"\xef\xbb\xbf" + dag("mark", task).encode(),
        tabs=dag("tabs", task).replace("    K", "\tK").removesuffix("\n"),
        unknown=f"# -*- coding: nothing-like-it -*-\n{dag('unknown', task)}",
    )
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "latin.py").unlink()
    patch = migrated(copy, root, "--patch").out
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    ran = migrated(folder, root, "--write")
    after = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    assert before["unknown.py"] == after["unknown.py"]
    assert b"\n" not in after["crlf.py"].replace(b"\r\n", b"")
    assert "Größe".encode("latin-1") in after["latin.py"]
    assert after["mark.py"].startswith(b"\xef\xbb\xbf#") or after["mark.py"].startswith(b"\xef\xbb\xbfimport")
    assert b"\tVaultPodOperator" in after["tabs.py"]
    assert 4 == ran.err.count(": written (a)")
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=copy, check=True)
    for name in ("crlf.py", "mark.py", "tabs.py"):
        assert after[name] == (copy / name).read_bytes()


def test_a_second_run_finds_nothing_more_to_do(dags: Path, root: Path) -> None:
    migrated(dags, root, "--write", *PATHS)
    written = (dags / "loads.py").read_text()
    again = migrated(dags, root, "--write", *PATHS)

    assert ("", written) == (again.out, (dags / "loads.py").read_text())


def test_one_call_that_makes_several_tasks_is_changed_only_where_all_of_them_can_be(
    tmp_path: Path, root: Path
) -> None:
    loop = (
        f'{HEAD}for name, image in {{"a": "registry.example.com/etl:7", "b": "other:1"}}.items():\n'
        '    with DAG(f"made_{name}", start_date=datetime.datetime(2026, 1, 1)):\n'
        '        KubernetesPodOperator(task_id="load", image=image)\n'
        f'        KubernetesPodOperator(task_id="same", {ETL}, cmds=[name])\n'
    )
    folder = folder_of(tmp_path, made=loop)
    ran = migrated(folder, root, "--write")
    text = (folder / "made.py").read_text()

    assert 'VaultPodOperator(task_id="same", pod_template="etl/small", cmds=[name])' in text
    assert 'KubernetesPodOperator(task_id="load", image=image)' in text
    assert "load: with its task_id there is made_b.load, by hand" in ran.err


def test_tasks_of_groups_and_calls_by_the_operators_module_are_found(tmp_path: Path, root: Path) -> None:
    text = dag(
        "groups", "@task_group", "def g(n):", f'    pods.KubernetesPodOperator(task_id="t", {ETL}, cmds=[n])'
    )
    text = text.replace("import DAG\n", "import DAG, task_group\n").replace(
        "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator",
        "from airflow.providers.cncf.kubernetes.operators import pod as pods",
    )
    folder = folder_of(tmp_path, groups=f'{text}    g.override(group_id="one")("1")\n    g("2")\n')
    ran = migrated(folder, root, "--write")

    assert ("", 0) == (ran.err.partition("Left to do")[2], ran.status)
    assert (
        'VaultPodOperator(task_id="t", pod_template="etl/small", cmds=[n])' in (folder / "groups.py").read_text()
    )


def test_a_file_that_reads_what_lies_beside_it_is_proved_beside_it(tmp_path: Path, root: Path) -> None:
    read = "open(__file__.replace('reads.py', 'image.txt')).read()"
    folder = folder_of(tmp_path, reads=dag("reads", f'KubernetesPodOperator(task_id="a", image={read})'))
    (folder / "image.txt").write_text("registry.example.com/etl:7")
    (folder / "sub").mkdir()
    ran = migrated(folder, root, "--patch")

    assert (0, "") == (ran.status, ran.err.partition("Left to do")[2])
    assert '+    VaultPodOperator(task_id="a", pod_template="etl/small")' in ran.out


def test_an_argument_that_no_field_of_the_pod_shows_has_to_be_open_as_well(tmp_path: Path, root: Path) -> None:
    kept = f'KubernetesPodOperator(task_id="kept", {ETL}, on_finish_action="keep_pod")'
    folder = folder_of(tmp_path, ends=dag("ends", kept, f'KubernetesPodOperator(task_id="other", {ETL})'))
    rows = {row["task"]: row for row in migrated(folder, root, "-o", "json").json()}
    ran = migrated(folder, root, "--patch")

    assert ["on_finish_action"] == rows["ends.kept"]["open"]
    assert "overridable would have to open on_finish_action" in rows["ends.kept"]["why"][0]
    assert '+    VaultPodOperator(task_id="other", pod_template="etl/small")' in ran.out
    assert "Traceback" not in ran.err


def test_jinja_in_a_label_stays_in_the_dag_and_no_label_is_shown(tmp_path: Path, root: Path) -> None:
    task = f'KubernetesPodOperator(task_id="a", {ETL}, labels={{"run": "{{{{ run_id }}}}", "pw": "Zx44hunter"}})'
    folder = folder_of(tmp_path, labels=dag("labels", task))
    ran = migrated(folder, root, "-o", "json")
    (row,) = ran.json()

    assert ("etl/small", ["labels"]) == (row["template"], row["open"])
    assert "hunter" not in ran.out + ran.err
    assert "Building pod" not in ran.err


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ('namespace="{{ var.value.ns }}"', "metadata.namespace"),
        ('service_account_name="{{ params.account }}"', "spec.serviceAccountName"),
        ('node_selector={"zone": "{{ params.zone }}"}', "spec.nodeSelector.zone"),
        ('init_containers=[k8s.V1Container(name="i", image="i:{{ ds }}")]', "spec.initContainers[i].image"),
    ],
)
def test_jinja_of_which_a_template_depends_is_a_reason_that_names_the_field(
    argument: str, field: str, tmp_path: Path, root: Path
) -> None:
    text = dag("depends", f'KubernetesPodOperator(task_id="a", {ETL}, {argument})')
    text = text.replace("import datetime\n", "import datetime\n\nfrom kubernetes.client import models as k8s\n")
    folder = folder_of(tmp_path, depends=text)
    (row,) = migrated(folder, root, "-o", "json").json()
    refused = run(
        *("templates", "import", "--dag", f"{folder / 'depends.py'}:a", "--team", "new"),
        *("--templates-dir", tmp_path / "made"),
    )

    for reason in (" ".join(row["why"]), refused.err):
        assert f"{field} holds Jinja, which only a run of the DAG renders" in reason
    assert 2 == refused.status
    assert not (tmp_path / "made").exists()


def test_of_a_secret_whose_path_is_known_the_keys_are_asked_for(tmp_path: Path, root: Path) -> None:
    task = f'KubernetesPodOperator(task_id="a", {ETL}, secrets=[Secret("env", None, "all")])'
    text = dag("keys", task).replace(
        "from airflow.sdk", "from airflow.providers.cncf.kubernetes.secret import Secret\nfrom airflow.sdk"
    )
    folder = folder_of(tmp_path, keys=text)
    (row,) = migrated(folder, root, "-o", "json", "--vault-path", "all=secret/etl/all").json()

    assert ["fill in the keys of secret/etl/all"] == row["why"]
