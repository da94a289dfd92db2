"""What a DAG author learns when the DAG is imported, without any network."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import ApiClient, models

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import (
    ArgumentError,
    ConfigError,
    DeliveryRefused,
    K8sVaultError,
    PolicyError,
    SecretSpecError,
    TeamError,
    TemplateError,
)
from airflow_k8s_vault.policy import pod_security_violations

ROOT = Path(__file__).parents[2]
PASSWORD = VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")


def operator(**arguments: Any) -> VaultPodOperator:
    return VaultPodOperator(**{"task_id": "load", "pod_template": "payments/etl", **arguments})


def test_a_task_needs_no_more_than_a_template() -> None:
    assert operator().pod_template == "payments/etl"


def test_all_that_is_wrong_with_the_secrets_is_listed_with_the_task() -> None:
    errors = [
        VaultSecret("warehouse", env={"A": "a"}),
        VaultSecret("secret/payments/x", env={}),
        VaultSecret("secret/payments/x", env={"NOT=A NAME": "k"}),
        VaultSecret("secret/payments/list", env="PGPASSWORD"),  # type: ignore[arg-type]
        VaultSecret("secret/payments/x", file="a/b"),
        "secret/payments/x",
    ]

    with pytest.raises(SecretSpecError) as error:
        operator(vault_secrets=errors)

    message = str(error.value)
    assert message.startswith("The secrets of task 'load' have mistakes:")
    for part in (
        "path 'warehouse'",
        "maps nothing",
        "env of 'secret/payments/list' is 'PGPASSWORD'; it maps variable to key",
        "'NOT=A NAME' is no name",
        "'a/b' is no file name",
        "vault_secrets holds a str: give VaultSecret",
    ):
        assert part in message


def test_the_same_variable_from_two_secrets_is_refused() -> None:
    other = VaultSecret("secret/payments/other", env={"PGPASSWORD": "password"})

    with pytest.raises(SecretSpecError, match="variable PGPASSWORD of container 'base' comes from both"):
        operator(vault_secrets=[PASSWORD, other])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"cmds": "psql -c 1"}, "cmds is one text: give a list"),
        ({"vault_secrets": PASSWORD}, "vault_secrets is one VaultSecret: give a list of them"),
        ({"template_vars": ["memory"]}, "give a mapping of variable to value"),
        (
            {"vault_secrets": [PASSWORD], "env_vars": {"PGPASSWORD": "x"}},
            "variable PGPASSWORD is set by env_vars and by a VaultSecret",
        ),
    ],
    ids=["text for a list", "one secret", "a list for a mapping", "twice"],
)
def test_an_argument_of_the_wrong_shape_is_told_with_the_right_one(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(SecretSpecError, match=reason) as error:
        operator(**given)

    assert "task 'load'" in str(error.value)
    assert "psql -c 1" not in str(error.value)


def test_an_unknown_team_or_template_is_told_with_what_there_is() -> None:
    with pytest.raises(TeamError, match="Did you mean 'payments'"):
        operator(pod_template="payment/etl")
    with pytest.raises(TemplateError, match="Did you mean 'etl'"):
        operator(pod_template="payments/etk")


def test_an_unknown_or_wrong_variable_is_told() -> None:
    with pytest.raises(TemplateError, match="memry"):
        operator(template_vars={"memry": "1Gi"})
    with pytest.raises(TemplateError, match="memory"):
        operator(template_vars={"memory": 3})


def test_a_template_that_gives_no_pod_is_told_with_file_and_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "pod_templates", tmp_path / "pod_templates")
    (tmp_path / "pod_templates/payments/broken.yaml.j2").write_text(
        '{% extends "base.yaml.j2" %}\n{% block placement %}\n  nodeSelektor: {}\n{% endblock %}\n'
    )
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(tmp_path / "pod_templates"))

    with pytest.raises(TemplateError, match=r"payments/broken.yaml.j2, line 3: .*nodeSelektor"):
        operator(pod_template="payments/broken")


def test_a_path_over_the_teams_ceiling_is_refused() -> None:
    with pytest.raises(PolicyError, match="secret/data-science/model") as error:
        operator(vault_secrets=[VaultSecret("secret/data-science/model", env={"A": "a"})])

    assert "team.yaml" in str(error.value)


@pytest.mark.parametrize(
    "argument",
    [
        {"image": "evil:latest"},
        {"namespace": "kube-system"},
        {"service_account_name": "admin"},
        {"hostnetwork": True},
    ],
    ids=lambda argument: next(iter(argument)),
)
def test_an_argument_that_the_team_does_not_leave_open_is_refused(argument: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match=next(iter(argument))):
        operator(**argument)


def test_default_args_of_the_dag_are_no_way_around_the_locks() -> None:
    with DAG("d", schedule=None, default_args={"image": "evil:latest"}), pytest.raises(PolicyError, match="image"):
        operator()


@pytest.mark.parametrize("setting", ["TEMPLATES_DIR", "VAULT_ADDR"])
def test_a_missing_setting_is_named_with_its_environment_variable(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.delenv(f"AIRFLOW__K8S_VAULT__{setting}")

    with pytest.raises(ConfigError, match=f"AIRFLOW__K8S_VAULT__{setting}"):
        operator(vault_secrets=[PASSWORD])


def test_a_task_without_secrets_needs_no_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__K8S_VAULT__VAULT_ADDR")

    assert operator().vault_secrets == []


def test_a_dry_run_shows_the_whole_pod_without_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    operator(vault_secrets=[PASSWORD], cmds=["psql"], do_xcom_push=False).dry_run()

    shown = capsys.readouterr().out
    assert "vault-agent" in shown
    assert "namespace: team-payments" in shown


def test_a_pod_can_be_built_again_after_a_dry_run() -> None:
    task = operator(vault_secrets=[PASSWORD])

    first, second = (task.build_pod_request_obj(dry_run=True) for _ in range(2))

    assert first.spec.containers[0].image == second.spec.containers[0].image


def test_the_default_of_each_setting_is_shown_by_airflow(capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_k8s_vault.config import SETTINGS
    from airflow_k8s_vault.provider import get_provider_info

    options = get_provider_info()["config"]["k8s_vault"]["options"]

    assert {s.name: s.default for s in SETTINGS} == {name: option["default"] for name, option in options.items()}
    assert all(option["description"] for option in options.values())


def test_the_whole_pod_passes_the_restricted_standard(capsys: pytest.CaptureFixture[str]) -> None:
    key = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")
    pod = operator(vault_secrets=[PASSWORD, key], cmds=["psql"]).build_pod_request_obj(dry_run=True)

    assert pod_security_violations(ApiClient().sanitize_for_serialization(pod), "restricted") == []


def test_a_container_that_the_template_does_not_have_is_named_with_those_that_it_has() -> None:
    secret = VaultSecret("secret/payments/x", file="x", container="bse")

    with pytest.raises(
        SecretSpecError, match=r"there is no container 'bse'; the pod has: base\. Did you mean 'base'"
    ):
        operator(vault_secrets=[secret])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"env_vars": {"PGPASSWORD": "hunter2hunter2"}}, r"env_vars\[PGPASSWORD\] looks like a credential"),
        ({"cmds": ["psql", "postgres://etl:hunter2hunter2@db/x"]}, "cmds looks like a password in a URL"),
        ({"arguments": ["--password", "hunter2hunter2"]}, "arguments looks like a credential after an option"),
    ],
    ids=["variable", "command", "arguments"],
)
def test_a_credential_in_the_dag_is_refused_at_import_and_not_shown(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(PolicyError, match=f"{reason}.*; put it in Vault") as refused:
        operator(**given)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("VAULT_ADDR", "vault:8200", "vault_addr is 'vault:8200', which does not start with https:// or http://"),
        ("VAULT_AUTH_METHOD", "kubernets", "vault_auth_method is 'kubernets', which is none of: kubernetes, jwt"),
        ("DEFAULT_DELIVERY", "agnet", "default_delivery is 'agnet', which is none of: agent, secret"),
    ],
)
def test_a_setting_that_a_delivery_cannot_use_is_told_at_import(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW__K8S_VAULT__{setting}", value)

    with pytest.raises(ConfigError, match=reason):
        operator(vault_secrets=[PASSWORD])
    assert operator()


def test_a_certificate_that_is_not_there_is_told_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_CACERT", "/no/such/ca.pem")

    with pytest.raises(ConfigError, match=r"vault_cacert is '/no/such/ca.pem', .*: No such file"):
        operator(vault_secrets=[PASSWORD]).build_pod_request_obj(dry_run=True)


def test_a_secret_with_two_mistakes_tells_both() -> None:
    secret = VaultSecret("secret/risk/x", env={"NOT=A=NAME": "k"}, container="bse")

    with pytest.raises(SecretSpecError) as refused:
        operator(vault_secrets=[secret])

    message = str(refused.value)
    assert "'NOT=A=NAME' is no name of an environment variable" in message
    assert "asks for secret/risk/x, which team 'payments' may not read" in message
    assert "there is no container 'bse'" in message


def test_an_argument_of_the_wrong_shape_hides_no_other_mistake() -> None:
    with pytest.raises(K8sVaultError) as refused:
        operator(pod_template="payments/etk", cmds="psql", vault_secret=[], delivery="agnet")

    message = str(refused.value)
    for part in (
        "vault_secret is no argument",
        "cmds is one text",
        "no pod template 'etk'",
        "delivery is 'agnet'",
    ):
        assert part in message


def test_two_wrong_settings_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "vault:8200")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_AUTH_METHOD", "kubernets")

    with pytest.raises(ConfigError, match=r"vault_addr is (.|\n)*vault_auth_method is"):
        operator(vault_secrets=[PASSWORD])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        *(("vault_secret", "vault_secrets"), ("pod_templat", "pod_template"), ("template_var", "template_vars")),
        *(("cmd", "cmds"), ("env_var", "env_vars"), ("retry", "retries"), ("deferable", "deferrable")),
    ],
)
def test_a_misspelt_argument_is_told_with_the_one_that_was_meant(given: str, meant: str) -> None:
    with pytest.raises(ArgumentError, match=f"{given} is no argument of VaultPodOperator. Did you mean '{meant}'"):
        operator(**{given: ["hunter2"]})
    with pytest.raises(TypeError) as refused:
        VaultPodOperator(task_id="load", **{given: ["hunter2"]})

    assert "hunter2" not in str(refused.value)
    assert "pod_template is missing" in str(refused.value)


@pytest.mark.parametrize("name", ["pod_template", "team", "delivery"])
def test_a_name_that_nobody_renders_holds_no_jinja(name: str) -> None:
    with pytest.raises(SecretSpecError, match=f"{name} is not templated"):
        operator(**{name: "{{ params.x }}"})


@pytest.mark.parametrize("part", ["path", "env", "file", "key"])
def test_a_secret_that_holds_jinja_is_told_that_nothing_of_it_is_templated(part: str) -> None:
    given: dict[str, Any] = {"path": "secret/payments/x", "file": "f", "key": "k", part: "{{ params.x }}/y"}
    if part == "env":
        given["env"] = {"A": "{{ params.x }}"}

    with pytest.raises(SecretSpecError, match="not templated"):
        operator(vault_secrets=[VaultSecret(**given)])


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Give team payments one more template with this text in its pod, and return its name."""
    shutil.copytree(ROOT / "pod_templates", tmp_path / "pod_templates")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(tmp_path / "pod_templates"))

    def write(container: str = "", spec: str = "") -> str:
        text = (
            "apiVersion: v1\nkind: Pod\nspec:\n  automountServiceAccountToken: false\n"
            "  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}\n"
            f"{spec}  containers:\n    - name: base\n      image: {{{{ images.python }}}}\n"
            "      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}\n"
            f"{container}"
        )
        (tmp_path / "pod_templates/payments/mine.yaml.j2").write_text(text)
        return "payments/mine"

    return write


MOUNT = "      volumeMounts: [{name: mine, mountPath: /vault}]\n"
VOLUME = "  volumes: [{name: mine, emptyDir: {}}]\n"


@pytest.mark.parametrize("delivery", ["agent", "secret"])
@pytest.mark.parametrize(
    ("container", "spec", "reason"),
    [
        ("      env: [{name: PGPASSWORD, value: x1}]\n", "", "sets PGPASSWORD itself, and a VaultSecret does too"),
        (MOUNT, VOLUME, "mounts a volume of its own over /vault/secrets"),
        ("", "  shareProcessNamespace: true\n", "shareProcessNamespace shows each container the environment"),
        ("", "  hostNetwork: true\n", "hostNetwork"),
    ],
    ids=["variable", "mount", "processes", "pod security"],
)
def test_what_a_template_and_a_secret_cannot_share_is_told_at_import(
    template: Callable[..., str], container: str, spec: str, reason: str, delivery: str
) -> None:
    name = template(container, spec)
    key = VaultSecret("secret/payments/key", file="key", key="k")

    with pytest.raises(K8sVaultError, match=reason):
        operator(pod_template=name, vault_secrets=[PASSWORD, key], delivery=delivery)


def test_a_template_without_such_things_imports(template: Callable[..., str]) -> None:
    assert operator(pod_template=template(), vault_secrets=[PASSWORD])


def test_what_the_team_opens_and_the_final_pod_may_not_have_is_told_at_import(
    template: Callable[..., str], tmp_path: Path
) -> None:
    name = template()
    team = tmp_path / "pod_templates/payments/team.yaml"
    text = team.read_text()
    team.write_text(text[: text.index("overridable:")] + "overridable: [image, labels, volumes, cmds]\n")
    (tmp_path / "pod_templates/platform.yaml").unlink()
    root = models.V1Volume(name="root", host_path=models.V1HostPathVolumeSource(path="/"))

    for given, reason in (
        ({"image": "alpine"}, "image is 'alpine', set by the task's image; allowed are"),
        ({"labels": {"sidecar.istio.io/inject": "false"}}, "sidecar.istio.io"),
        ({"volumes": [root]}, "hostPath"),
    ):
        with pytest.raises(PolicyError, match=reason):
            operator(pod_template=name, **given)
    # What is right, and what only the run tells.
    operator(pod_template=name, image="postgres:18", labels={"tier": "batch"})
    operator(pod_template=name, image="{{ params.image }}")


def test_mistakes_of_every_kind_are_told_in_one_error() -> None:
    secrets = [VaultSecret("warehouse", env={"A": "a"}), VaultSecret("secret/risk/x", file="x", container="bse")]

    with pytest.raises(SecretSpecError) as error:
        operator(
            vault_secrets=secrets,
            template_vars={"memroy": "1Gi"},
            image="alpine",
            env_vars={"PGPASSWORD": "hunter2hunter2"},
        )

    message = str(error.value)
    for part in (
        "path 'warehouse' needs a mount first",
        "looks like a credential",
        "memroy is no variable",
        "sets image",
        "asks for secret/risk/x, which team 'payments' may not read",
    ):
        assert part in message


def test_a_refusal_of_the_run_is_logged_once_and_with_its_cause() -> None:
    task, refusal = operator(), DeliveryRefused("our words")
    refusal.__cause__ = OSError("the network's words")

    with pytest.raises(AirflowFailException) as failed, task._run():
        raise refusal

    logged = "".join(traceback.format_exception(failed.value))
    assert 1 == logged.count("our words")
    assert 1 == logged.count("OSError: the network's words")


def test_what_airflow_fills_in_later_is_left_to_the_check_of_the_final_pod() -> None:
    assert operator(env_vars={"PGPASSWORD": "{{ var.value.password }}"}, cmds=["psql", "{{ params.url }}"])


def nested(depth: int) -> list[Any]:
    value: list[Any] = ["x"]
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("name", ["template_vars", "env_vars", "labels", "arguments", "vault_secrets", "team"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (nested(500), "nested deeper than 100 levels"),
        (nested(50_000), "nested deeper than 100 levels"),
        ([10**5000], "holds a number of more than 2,048 bits"),
        ([["x"] * 1000] * 300, "holds more than 200,000 entries"),
    ],
    ids=["deep", "very deep", "long number", "many entries"],
)
def test_an_argument_that_nobody_could_write_out_is_an_error_with_its_name(
    name: str, value: Any, why: str
) -> None:
    with pytest.raises(ArgumentError, match=f"  - {name} .*{why}"):
        operator(**{name: {"a": value} if name in ("template_vars", "env_vars", "labels") else value})


@pytest.mark.parametrize("field", ["env", "parameters", "version", "key", "files", "engine", "prefix"])
def test_a_part_of_a_secret_that_nobody_could_write_out_is_an_error_like_others(field: str) -> None:
    for value in (nested(50_000), -(10**5000), {"a": 10**5000}):
        secret = VaultSecret("secret/payments/x", **{"env": {"A": "a"}, field: value})

        with pytest.raises(K8sVaultError, match="secrets of task 'load' have mistakes"):
            operator(vault_secrets=[secret])
