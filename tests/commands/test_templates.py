"""`airflow k8s-vault templates …`, as a platform engineer types it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from airflow.cli import cli_parser
from jsonschema import Draft202012Validator

from airflow_k8s_vault import templates
from tests import growth

SHIPPED = Path(__file__).parents[2] / "pod_templates"


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def run(*words: object) -> Ran:
    """Run `airflow k8s-vault …` through Airflow's own parser."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    arguments = cli_parser.get_parser().parse_args(["k8s-vault", *map(str, words)])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            arguments.func(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Ran(status, out.getvalue(), err.getvalue())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped templates, to change."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "pod_templates"))


def test_list_shows_the_templates_of_every_team() -> None:
    rows = run("templates", "list", "--templates-dir", SHIPPED, "-o", "json").json()

    assert [
        "data-science/base",
        "data-science/python",
        "data-science/ubuntu",
        "payments/base",
        "payments/etl",
        "payments/python",
    ] == [row["template"] for row in rows]
    assert ["cpu", "memory"] == rows[-1]["variables"]
    assert "Small Python jobs, wherever there is room." == rows[-1]["about"]


@pytest.mark.parametrize("command", [("list",), ("show", "payments/etl"), ("explain", "payments/etl"), ("lint",)])
def test_each_command_speaks_table_json_and_yaml(command: tuple[str, ...]) -> None:
    def ran(output: str) -> Ran:
        return run("templates", *command, "--templates-dir", SHIPPED, "--output", output)

    assert ran("json").json() == yaml.safe_load(ran("yaml").out)
    assert "\x1b" not in ran("table").out
    assert ran("table").out.strip()


def test_render_prints_the_pod_that_a_task_would_send() -> None:
    ran = run("templates", "render", "payments/etl", "--var", "memory=1Gi", "--templates-dir", SHIPPED)

    pod = yaml.safe_load(ran.out)
    rendered = templates.find("payments/etl", SHIPPED).render({"memory": "1Gi"})
    base, template_base = pod["spec"]["containers"][0], rendered["spec"]["containers"][0]
    assert "1Gi" == base["resources"]["limits"]["memory"]
    assert template_base.items() <= {key: base[key] for key in template_base}.items()
    assert pod["metadata"]["name"].startswith("example-task-")
    assert "payments/etl" == pod["metadata"]["annotations"]["airflow-k8s-vault/pod-template"]


def test_render_reads_a_number_as_one_where_the_variable_is_one() -> None:
    ran = run("templates", "render", "data-science/python", "--var", "threads=4", "--templates-dir", SHIPPED)
    errors = run("templates", "render", "data-science/python", "--var", "threads=x", "--templates-dir", SHIPPED)

    assert {"name": "OMP_NUM_THREADS", "value": "4"} in yaml.safe_load(ran.out)["spec"]["containers"][0]["env"]
    assert (2, "") == (errors.status, errors.out)
    assert "threads: 'x' is no integer." in errors.err


def test_an_unknown_template_is_told_on_standard_error_with_status_2() -> None:
    ran = run("templates", "show", "payments/etk", "--templates-dir", SHIPPED)

    assert (2, "") == (ran.status, ran.out)
    assert "Did you mean 'etl'?" in ran.err


def test_explain_tells_value_file_line_and_who_may_change_it() -> None:
    ran = run("templates", "explain", "payments/etl", "--templates-dir", SHIPPED, "-o", "json")
    fields = {row["field"]: row for row in ran.json()}

    image = fields["spec.containers[base].image"]
    memory = fields["spec.containers[base].resources.limits.memory"]
    assert image == {
        "field": "spec.containers[base].image",
        "value": "postgres:18",
        "set by": f"pod_templates/payments/etl.yaml.j2, line {line_of('payments/etl.yaml.j2', 'block image')}",
        "DAG may change it": "no",
    }
    assert "512Mi" == memory["value"]
    assert "yes: template_vars memory" == memory["DAG may change it"]
    assert f"base.yaml.j2, line {line_of('base.yaml.j2', 'limits:') + 1}" in memory["set by"]
    assert "yes: cmds" == fields["spec.containers[base].command"]["DAG may change it"]


def test_explain_says_what_auto_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    explain = ("templates", "explain", "payments/etl", "--templates-dir", SHIPPED)
    before = run(*explain).out
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__DEFAULT_DELIVERY", "auto")

    assert "default_delivery is auto" not in before
    assert run(*explain).out.endswith("older than Kubernetes 1.35: [k8s_vault] default_delivery is auto.\n")


def test_explain_names_the_line_of_every_field_of_every_template() -> None:
    for row in run("templates", "list", "--templates-dir", SHIPPED, "-o", "json").json():
        for field in run("templates", "explain", row["template"], "--templates-dir", SHIPPED, "-o", "json").json():
            file, _, line = field["set by"].partition(", line ")
            text = (SHIPPED.parent / file).read_text().splitlines()[int(line) - 1]
            key = field["field"].split("]")[-1].split(".")[-1] or field["field"].rpartition("[")[2].rstrip("]")
            assert key in text or "{{" in text or text.strip().startswith("- "), (field, text)


def test_explain_names_the_teams_file_for_what_the_template_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    shutil.copy(SHIPPED / "payments" / "team.yaml", tmp_path / "a" / "team.yaml")
    pod = "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: base, image: x}]}\n"
    (tmp_path / "a" / "x.yaml.j2").write_text(pod)

    fields = run("templates", "explain", "a/x", "--templates-dir", tmp_path, "-o", "json").json()

    assert {"metadata.namespace": "team.yaml, line 1", "spec.serviceAccountName": "team.yaml, line 2"} == {
        row["field"]: row["set by"].rpartition("/")[2] for row in fields if "team.yaml" in row["set by"]
    }


def replaced(file: Path, old: str, new: str) -> None:
    """Put a mistake into a file; fails where the text it replaces is not there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def line_of(file: str, text: str) -> int:
    return next(number for number, line in enumerate((SHIPPED / file).read_text().splitlines(), 1) if text in line)


def test_lint_of_the_shipped_folder_has_warnings_and_no_error() -> None:
    ran = run("templates", "lint", SHIPPED, "-o", "json")

    assert 0 == ran.status
    assert {"warning"} == {row["severity"] for row in ran.json()}


MISTAKES = [
    ("payments/team.yaml", "namespace: team-payments", "namespace: Team", "namespace is 'Team'"),
    ("payments/team.yaml", "postgres:18", "postgres", "postgres is a different image every week"),
    ("payments/team.yaml", "overridable: [", "overridable: [image, ", "opens image, which"),
    (
        "payments/team.yaml",
        "  etl:",
        "  spare: alpine:3.24.2\n  etl:",
        "image 'spare' (alpine:3.24.2) is used by no",
    ),
    ("payments/team.yaml", "secret/payments/*", "secret/*", "'secret/*' covers a whole mount"),
    ("payments/team.yaml", "secret/payments/*", "secret/pay*/*", "'secret/pay*/*' covers the folders of all"),
    ("payments/team.yaml", "secret/payments/*", "secret/pay*", "'secret/pay*' covers every name that starts so"),
    ("payments/team.yaml", "secret/payments/*", "secret/*/shared", "covers the same path of every team"),
    ("data-science/team.yaml", "team-data-science", "team-payments", "namespace 'team-payments' is shared by"),
    ("payments/etl.yaml.j2", "images.etl", "images.elt", "there is no 'elt'"),
    ("payments/etl.yaml.j2", "weight: 50", "wait: 50", "wait is no key of a v1 Pod. Did you mean 'weight'?"),
    ("payments/etl.yaml.j2", "{{ images.etl }}", "alpine", "container 'base' runs 'alpine'; allowed are"),
    ("payments/python.yaml.j2", '"1"', f"ghp_{'A1b2' * 9}", "looks like a GitHub token (not shown)"),
    (
        "payments/etl.vars.yaml",
        "default: 512Mi",
        "default: 512",
        "default of memory: 512 is less than the minimum",
    ),
    ("payments/etl.vars.yaml", "type: quantity", "type: quantit", "Did you mean 'quantity'?"),
    ("base.yaml.j2", "runAsNonRoot: true", "runAsNonRoot: false", "running as non-root"),
    ("base.yaml.j2", 'drop: ["ALL"]', 'drop: ["KILL"]', "it has to hold ALL"),
    ("base.yaml.j2", "{% endblock %}\nspec:", "{% endblok %}\nspec:", "unknown tag 'endblok'"),
    ("base.yaml.j2", "value: /tmp", "value: {{ tmp }}", "'tmp' is undefined"),
    (
        "base.yaml.j2",
        "spec:\n",
        "{% if cpu == 'x' %}{{ memroy }}{% endif %}spec:\n",
        "uses 'memroy', which no .vars",
    ),
    (
        "base.vars.yaml",
        "memory:",
        "spare: {type: string, default: x}\nmemory:",
        "variable 'spare' is used by nothing",
    ),
    ("platform.yaml", "restricted", "strict", "it must be one of privileged, baseline, restricted"),
]


@pytest.mark.parametrize(("file", "old", "new", "reason"), MISTAKES, ids=[reason for *_, reason in MISTAKES])
def test_lint_tells_a_mistake_with_its_file(folder: Path, file: str, old: str, new: str, reason: str) -> None:
    replaced(folder / file, old, new)

    ran = run("templates", "lint", folder, "-o", "json")

    errors = [row for row in ran.json() if reason in row["what"]]
    assert errors, ran.out
    assert any(file.rpartition("/")[2] in row["where"] for row in errors)
    assert (1 if any(row["severity"] == "error" for row in ran.json()) else 0) == ran.status


def test_lint_of_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    ran = run("templates", "lint", tmp_path / "missing", "-o", "json")

    assert (2, "") == (ran.status, ran.out)
    assert f"There is no folder {tmp_path / 'missing'}." in ran.err


def test_lint_names_the_template_that_trips_over_a_line_of_its_parent(folder: Path) -> None:
    (folder / "payments/broken.yaml.j2").write_text(
        '{% extends "base.yaml.j2" %}\n{% block labels %}\n    - a list\n{% endblock %}\n'
    )

    rows = run("templates", "lint", folder, "-o", "json").json()

    errors = [row for row in rows if row["severity"] == "error"]
    assert errors
    assert all("payments/broken" in row["where"] for row in errors), errors


def test_lint_renders_a_template_at_each_limit_of_its_variables(folder: Path) -> None:
    (folder / "payments/etl.vars.yaml").write_text("mode: {type: string, enum: [full, delta], default: full}\n")
    text = (folder / "payments/etl.yaml.j2").read_text()
    (folder / "payments/etl.yaml.j2").write_text(
        text.replace("weight: 50", "weight: {% if mode == 'delta' %}x{% else %}50{% endif +%}\n")
    )

    rows = run("templates", "lint", folder, "-o", "json").json()

    assert [row for row in rows if row["severity"] == "error" and "weight is 'x'" in row["what"]]


def test_lint_of_twice_the_teams_takes_about_twice_the_time(folder: Path, tmp_path: Path) -> None:
    folders = {size: tmp_path / str(size) for size in (3, 6)}
    for size, copied in folders.items():
        shutil.copytree(folder, copied)
        fill(copied, size)

    grown = growth.doubling(lambda size: run("templates", "lint", folders[size], "-o", "json"), 3)

    assert grown < growth.LINEAR


def fill(folder: Path, teams: int) -> None:
    for number in range(teams):
        team = folder / f"team-{number}"
        shutil.copytree(folder / "payments", team)
        text = (team / "team.yaml").read_text().replace("team-payments", f"team-{number}")
        (team / "team.yaml").write_text(text)
        for copy in range(8):
            shutil.copy(team / "etl.yaml.j2", team / f"etl{copy}.yaml.j2")
            shutil.copy(team / "etl.vars.yaml", team / f"etl{copy}.vars.yaml")


def test_diff_shows_what_a_change_in_git_does_to_the_pods(folder: Path) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        subprocess.run(["git", *identity, *words], cwd=folder.parent, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    same = run("templates", "diff", "HEAD", "--templates-dir", folder)
    team = folder / "payments" / "team.yaml"
    team.write_text(team.read_text().replace("postgres:18", "postgres:19"))
    (folder / "payments" / "new.yaml.j2").write_text('{% extends "base.yaml.j2" %}')
    (folder / "payments" / "python.yaml.j2").unlink()

    changed = run("templates", "diff", "HEAD", "--templates-dir", folder)
    one = run("templates", "diff", "HEAD", "payments/etl", "--templates-dir", folder, "-o", "json")

    assert (0, "") == (same.status, same.out)
    assert 1 == changed.status
    assert "-    image: postgres:18\n+    image: postgres:19\n" in changed.out.replace(" \n", "\n").replace(
        "  - ", "    "
    )
    assert "+++ b/payments/new" in changed.out
    assert "--- a/payments/python" in changed.out
    assert ["payments/etl"] == [row["template"] for row in one.json()]


@pytest.mark.parametrize("rev", ["no-such-revision", "--output=/tmp/x"])
def test_diff_of_what_git_does_not_know_is_an_error(folder: Path, rev: str) -> None:
    words = ("--", rev) if rev.startswith("-") else (rev,)

    ran = run("templates", "diff", "--templates-dir", folder, *words)

    assert 2 == ran.status


@pytest.mark.parametrize("of", ["team", "platform"])
def test_schema_is_a_json_schema_that_takes_the_shipped_files(of: str) -> None:
    schema = run("templates", "schema", "--of", of).json()
    files = [SHIPPED / "platform.yaml"] if of == "platform" else list(SHIPPED.glob("*/team.yaml"))

    Draft202012Validator.check_schema(schema)
    for file in files:
        Draft202012Validator(schema).validate(yaml.safe_load(file.read_text()))


def test_init_writes_a_folder_that_lints_and_renders_and_keeps_what_is_there(tmp_path: Path) -> None:
    first = run("templates", "init", tmp_path / "pods", "--team", "risk", "-o", "json")
    again = run("templates", "init", tmp_path / "pods", "--team", "risk", "-o", "json")
    errors = run("templates", "init", tmp_path / "pods", "--team", "../risk")

    assert {"written"} == {row["state"] for row in first.json()}
    assert {"was there"} == {row["state"] for row in again.json()}
    assert 2 == errors.status
    assert 0 == run("templates", "lint", tmp_path / "pods").status
    assert "team-risk" == templates.find("risk/python", tmp_path / "pods").render({})["metadata"]["namespace"]


def test_init_without_a_folder_writes_pod_templates_and_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ran = run("templates", "init", "--team", "risk")

    assert 0 == ran.status
    message = ran.out.partition("\nNext:\n")[2]
    assert "pod_templates/risk/team.yaml" in message
    assert f"[k8s_vault] templates_dir = {tmp_path}/pod_templates\n" in message
    for words in re.findall(r"airflow k8s-vault (templates .*)", message):
        folder = ("--templates-dir", "pod_templates") if "render" in words else ()
        assert 0 == run(*words.split(), *folder).status
    assert 'pod_template="risk/python"' in message


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("python", "data-science/python, payments/python"),
        ("none", "<team>/none, with one of: data-science, payments"),
    ],
)
def test_a_template_without_its_team_is_told_with_the_teams_that_have_it(name: str, full: str) -> None:
    ran = run("templates", "show", name, "--templates-dir", SHIPPED)

    assert (2, "") == (ran.status, ran.out)
    assert f"Pod template '{name}' has no team.\n  Write it with its team: {full}.\n" == ran.err


@pytest.mark.parametrize("file", ["base.yaml.j2", "base.vars.yaml", "platform.yaml"])
def test_the_folder_to_start_from_has_the_shipped_base(file: str) -> None:
    starter = Path(templates.__file__).parents[1] / "commands" / "starter"

    assert (SHIPPED / file).read_text() == (starter / file).read_text()


@pytest.mark.parametrize(
    ("file", "right"),
    [
        ("payments/plain.yaml", "plain.yaml.j2"),
        ("payments/x.yml.j2", "x.yaml.j2"),
        ("payments/Up_Case.yaml.j2", "up_case.yaml.j2"),
        ("payments/y.yaml.jinja2", "y.yaml.j2"),
        ("payments/z.j2", "z.yaml.j2"),
        ("shared.yml", "shared.yaml.j2"),
        ("payments/Team.yml", "team.yaml"),
        ("platform.yml", "platform.yaml"),
    ],
)
def test_a_file_that_is_never_found_is_told_with_its_right_name(folder: Path, file: str, right: str) -> None:
    (folder / file).write_text("apiVersion: v1\n")
    short = right.removesuffix(".yaml.j2")

    rows = run("templates", "lint", folder, "-o", "json").json()
    shown = run("templates", "show", f"payments/{short}", "--templates-dir", folder)

    assert [f"is never used: name it {right}."] == [row["what"] for row in rows if row["where"].endswith(file)]
    if right.endswith(".j2"):
        assert 2 == shown.status
        assert f"There is {file}: rename it to {right}." in shown.err


def test_what_is_no_template_by_itself_and_no_mistake_is_not_told(folder: Path) -> None:
    (folder / "README.md").write_text("x")
    (folder / "payments" / ".hidden.yaml").write_text("x")
    (folder / "payments" / "_macros.yaml.j2").write_text("{% macro m() %}{% endmacro %}")
    (folder / "payments" / "Parts.yaml.j2").write_text("")
    (folder / "payments" / "inc.yaml.j2").write_text(
        '{% extends "base.yaml.j2" %}{% block labels %}{% include "payments/Parts.yaml.j2" %}{% endblock %}'
    )

    rows = run("templates", "lint", folder, "-o", "json").json()

    assert not [row for row in rows if "never" in row["what"]]


BREAKS = {
    "payments/team.yaml": "namespace: Team\n",
    "payments/etl.yaml.j2": "image: {{ .Values.image }}\n",
    "payments/etl.vars.yaml": "memory: {type: quantit}\n",
}


@pytest.mark.parametrize("file", BREAKS)
def test_a_teams_mistake_stops_no_other_team(folder: Path, file: str) -> None:
    (folder / file).write_text(BREAKS[file])

    listed = run("templates", "list", "--templates-dir", folder, "-o", "json")
    rendered = run("templates", "render", "data-science/python", "--templates-dir", folder)
    linted = run("templates", "lint", folder, "-o", "json")

    rows = {row["template"]: row for row in listed.json()}
    assert 1 == listed.status
    assert file.partition(".")[0] in rows["payments/etl"]["broken"] or "payments" in rows["payments/etl"]["broken"]
    assert "" == rows["data-science/python"]["broken"]
    assert ["cpu", "memory", "threads"] == rows["data-science/python"]["variables"]
    assert (0, "") == (rendered.status, rendered.err.partition("\n")[0] if "rror" in rendered.err else "")
    assert {"error", "warning"} == {row["severity"] for row in linted.json()}
    assert not [r for r in linted.json() if r["severity"] == "error" and "data-science" in r["where"]]


def test_a_team_whose_file_is_no_file_stops_no_other_team(folder: Path) -> None:
    (folder / "broken" / "team.yaml").mkdir(parents=True)

    assert "data-science/python" in run("templates", "list", "--templates-dir", folder).out
    assert "team.yaml cannot be read" in run("templates", "lint", folder).out or "is no file" in (
        run("templates", "lint", folder).out
    )


def test_lint_points_to_the_line_of_the_image(folder: Path) -> None:
    rows = run("templates", "lint", folder, "-o", "json").json()
    lines = (folder / "payments" / "team.yaml").read_text().splitlines()
    message = [row for row in rows if "is not pinned" in row["what"] and "payments" in row["where"]]

    assert 2 == len(message)
    for row in message:
        assert row["what"].split()[0] in lines[int(row["where"].rpartition("line ")[2]) - 1]


def test_lint_warns_of_a_second_ordinary_container_and_names_native_sidecars(folder: Path) -> None:
    text = (folder / "base.yaml.j2").read_text()
    base = text[text.index("    - name: base") :]
    # Jinja takes the newline after a tag.
    proxy = re.sub(r" *{%[^%]*[^+]%}\n", "", base).replace("- name: base", "- name: proxy")
    proxy = re.sub(r"{%[^%]*%}", "", proxy)
    (folder / "payments" / "two.yaml.j2").write_text(f"{text.rstrip()}\n{proxy}")
    (folder / "payments" / "two.vars.yaml").write_text((folder / "base.vars.yaml").read_text())

    rows = run("templates", "lint", folder, "-o", "json").json()

    (row,) = [row for row in rows if "'proxy'" in row["what"]]
    assert "warning" == row["severity"]
    assert "payments/two" in row["where"]
    assert "native sidecar: an init container with restartPolicy: Always" in row["what"]


def test_lint_tells_where_an_open_argument_goes_past_a_variables_limits(folder: Path) -> None:
    before = run("templates", "lint", folder, "-o", "json").json()
    team = folder / "payments" / "team.yaml"
    team.write_text(team.read_text().replace("overridable: [", "overridable: [container_resources, "))

    rows = run("templates", "lint", folder, "-o", "json").json()

    assert not [row for row in before if "past the limits" in row["what"]]
    message = [row for row in rows if "past the limits of the variable 'memory' of payments/etl" in row["what"]]
    assert ["warning"] == [row["severity"] for row in message]
    assert message[0]["what"].startswith("opens container_resources, which sets spec.containers[base].resources")


def test_lint_tells_where_a_label_goes_past_a_variables_limits(folder: Path) -> None:
    (folder / "payments" / "paid.vars.yaml").write_text("centre: {type: string, enum: [etl, ml], default: etl}\n")
    (folder / "payments" / "paid.yaml.j2").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {labels: {cost-centre: '{{ centre }}'}}\n"
        "spec: {containers: [{name: base, image: '{{ images.etl }}'}]}\n"
    )

    rows = run("templates", "lint", folder, "-o", "json").json()

    message = [row["what"] for row in rows if "the variable 'centre' of payments/paid" in row["what"]]
    assert [
        "opens labels, which sets metadata.labels[cost-centre] past the limits of the variable 'centre' of "
        "payments/paid: open one of the two."
    ] == message


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("registries: [registry.example.com]", "allowed are images from registry.example.com"),
        ("digests_only: true", "images are named by digest"),
    ],
)
def test_lint_holds_the_platforms_limits_against_the_packages_own_images(
    folder: Path, limit: str, reason: str
) -> None:
    with (folder / "platform.yaml").open("a") as file:
        file.write(f"{limit}\n")
    line = len((folder / "platform.yaml").read_text().splitlines())

    rows = run("templates", "lint", folder, "-o", "json").json()

    for what in ("[k8s_vault] vault_agent_image is", "the XCom sidecar"):
        (row,) = [row for row in rows if row["what"].startswith(what)]
        assert "error" == row["severity"]
        assert reason in row["what"]
        assert row["where"].endswith(f"platform.yaml, line {line}")


@pytest.mark.parametrize(
    ("connections", "files", "reason"),
    [
        (None, "r.example.com/alpine@sha256:" + 64 * "a", None),
        (None, "r.example.com/alpine:3", "the XCom sidecar"),
        ("alpine:3", "alpine:3", "the XCom sidecar"),
        (
            "r.example.com/other@sha256:" + 64 * "b",
            "r.example.com/alpine@sha256:" + 64 * "a",
            "has to be the same",
        ),
    ],
)
def test_lint_holds_the_sidecars_image_of_file_and_connection_against_limits_and_each_other(
    connections: str | None, files: str, reason: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"xcom_sidecar_container_image": connections} if connections else {}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    with (folder / "platform.yaml").open("a") as file:
        file.write(f"digests_only: true\nxcom_image: {files}\n")

    rows = run("templates", "lint", folder, "-o", "json").json()

    sidecar = [row["what"] for row in rows if "xcom_sidecar_container_image" in row["what"]]
    assert [reason in what for what in sidecar if reason] == ([True] if reason else []), sidecar


def test_lint_warns_of_a_pattern_that_takes_more_than_it_says(folder: Path) -> None:
    (folder / "payments" / "etl.vars.yaml").write_text('a: {type: string, pattern: "[a-z]+", default: a}\n')

    rows = run("templates", "lint", folder, "-o", "json").json()

    assert [row for row in rows if "pattern '[a-z]+' takes any text that it stands in" in row["what"]]


def test_lint_of_a_template_that_computes_without_end_ends(folder: Path) -> None:
    (folder / "payments" / "etl.yaml.j2").write_text(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    )

    rows = run("templates", "lint", folder, "-o", "json").json()

    assert [row for row in rows if "etl.yaml.j2, line 1" in row["where"] and "still computing" in row["what"]]


@pytest.mark.parametrize("command", [("list",), ("explain", "payments/etl")], ids=str)
def test_a_reader_that_has_seen_enough_is_no_error(command: tuple[str, ...]) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    arguments = cli_parser.get_parser().parse_args(
        ["k8s-vault", "templates", *command, "--templates-dir", str(SHIPPED)]
    )

    with contextlib.redirect_stdout(Closed()), contextlib.redirect_stderr(io.StringIO()):
        arguments.func(arguments)
