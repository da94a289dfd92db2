"""Why a pod did not get its credentials, as its status tells: the messages are a real agent's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import V1Pod

from airflow_k8s_vault.delivery import failure
from airflow_k8s_vault.delivery.agent.failure import FAILURE, KILLED
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.delivery.main_failure import start_failure
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable

LOGIN = VaultLogin(address="https://vault:8200", role="payments")
STOPPING = "2026-01-02T03:04:05.678Z [INFO]  agent: (runner) stopping\n"
FATAL = STOPPING + "2026-01-02T03:04:05.678Z [ERROR] agent: runtime error encountered:"
REFUSED_LOGIN = f"""{FATAL}
  error=
  | Error making API request.
  |\x20
  | URL: PUT https://vault:8200/v1/auth/kubernetes/login
  | Code: 403. Errors:
  |\x20
  | * permission denied
   exitCode=1
Error encountered during run, refer to logs for more details.
"""
SEALED = REFUSED_LOGIN.replace("403", "503").replace("permission denied", "Vault is sealed")
FORBIDDEN = REFUSED_LOGIN.replace("PUT", "GET").replace("auth/kubernetes/login", "secret/data/payments/x")
UNREACHABLE = f'{FATAL} error="dial tcp 10.0.0.1:8200: connect: connection refused" exitCode=1\n'
ENGINE = f"{FATAL} error calling sprig_fail: {FAILURE} 'secret/a' is no KV 2 secret, or empty: is engine= right?"
# The agent tries a read that found nothing a few times, and says so.
RETRIED = (
    '[WARN] (view) vault.read(a/b): no secret exists at secret/data/payments/b (retry attempt 1 after "250ms")'
)
MISSING = f'{FATAL} error="template server: vault.read(a/b): no secret exists at secret/data/payments/b"'
OWN = (
    f'{FATAL} error="template server: (dynamic): execute: executing \\"\\" at <sprig_fail (printf '
    'airflow-k8s-vault: secret has no key; it has: %!s(MISSING)\\"...>: '
    "error calling sprig_fail: airflow-k8s-vault: secret 'secret/a' has no key 'x'; it has: password\" exitCode=1"
)


def pod(agent: dict[str, Any], base: dict[str, Any] | None = None, **status: Any) -> V1Pod:
    """Return a V1Pod of the kubernetes client with these states of the agent and of the base container."""
    common = {"image": "i", "imageID": "", "ready": False, "restartCount": 0}
    manifest = {
        "metadata": {"name": "load-abc", "namespace": "team-payments"},
        "spec": {"serviceAccountName": "airflow-payments", "containers": []},
        "status": {
            "initContainerStatuses": [{**common, "name": "vault-agent", "state": agent, **status}],
            "containerStatuses": [{**common, "name": "base", "state": base or WAITING}],
        },
    }
    return PodGenerator.deserialize_model_dict(manifest)


WAITING: dict[str, Any] = {"waiting": {"reason": "PodInitializing"}}
RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}


def ended(message: str, exit_code: int = 1, reason: str = "Error") -> dict[str, Any]:
    started = {"startedAt": "2026-01-02T03:04:05Z", "finishedAt": "2026-01-02T03:04:06Z"}
    return {"terminated": {"exitCode": exit_code, "reason": reason, "message": message, **started}}


def why(agent: dict[str, Any], base: dict[str, Any] | None = None, **status: Any) -> Exception | None:
    return failure.delivery_failure(pod(agent, base, **status), LOGIN, "base")


@pytest.mark.parametrize(
    ("message", "kind", "reason"),
    [
        (REFUSED_LOGIN, DeliveryRefused, "refused role 'payments' on auth/kubernetes (403)"),
        (REFUSED_LOGIN, DeliveryRefused, "    * permission denied\n"),
        (REFUSED_LOGIN, DeliveryRefused, "service account 'airflow-payments' in namespace 'team-payments'"),
        (FORBIDDEN, DeliveryRefused, "refused to give role 'payments' a secret (403)"),
        (MISSING, DeliveryRefused, "There is no secret at 'secret/payments/b' in Vault"),
        (f"{RETRIED}\n{MISSING}", DeliveryRefused, "There is no secret at 'secret/payments/b' in Vault"),
        (ENGINE, DeliveryRefused, "or empty: is engine= right?\n"),
        (
            FORBIDDEN.replace("Error making", "vault.list(a/b): Error making"),
            DeliveryRefused,
            "policy needs 'list'",
        ),
        (OWN, DeliveryRefused, "secret 'secret/a' has no key 'x'; it has: password."),
        ("[redacted]".join(OWN), DeliveryRefused, "secret 'secret/a' has no key 'x'; it has: password."),
        (SEALED, DeliveryUnavailable, "* Vault is sealed"),
        (UNREACHABLE, DeliveryUnavailable, "connect: connection refused"),
        ("", DeliveryUnavailable, "it ended without a word"),
    ],
)
def test_the_agents_last_words_tell_a_refusal_from_an_outage(
    message: str, kind: type[Exception], reason: str
) -> None:
    errors = why(ended(message))

    assert type(errors) is kind
    assert reason in str(errors)
    assert "[INFO]" not in str(errors)


@pytest.mark.parametrize(
    ("message", "first"),
    [
        (
            REFUSED_LOGIN,
            "Vault at https://vault:8200 refused role 'payments' on auth/kubernetes (403): permission denied.",
        ),
        (
            FORBIDDEN,
            "Vault at https://vault:8200 refused to give role 'payments' a secret (403): permission denied.",
        ),
        (OWN, "Not delivered: secret 'secret/a' has no key 'x'; it has: password."),
        (
            UNREACHABLE,
            "Vault at https://vault:8200 could not be reached from the pod, or did not answer in time: "
            "dial tcp 10.0.0.1:8200: connect: connection refused.",
        ),
    ],
)
def test_the_reason_is_in_the_first_line(message: str, first: str) -> None:
    assert first == str(why(ended(message))).splitlines()[0]


NOT_VAULTS = {
    "a command that is too long": ended("exec sh: argument list too long", 128, "StartError"),
    "an image without a shell": ended('exec: "sh": executable file not found in $PATH', 128, "StartError"),
    "an image without bao or vault": ended("sh: vault: not found", 127),
    "a binary of another machine": ended("sh: bao: Exec format error", 126),
    "no memory": ended("", 137, "OOMKilled"),
    "killed": ended(KILLED, 137),
    "killed by something else": ended("", 137),
    "a crash": ended("panic: runtime error: invalid memory address or nil pointer dereference", 2),
    "a configuration that it does not take": ended("error loading configuration: unknown key 'auto_auht'", 1),
    "a full disk": ended("cannot create agent.json: No space left on device", 1),
}


@pytest.mark.parametrize("end", NOT_VAULTS)
def test_no_failure_of_the_agents_container_is_told_as_vaults(end: str) -> None:
    message = str(why(NOT_VAULTS[end]))

    assert message.startswith("The Vault agent ")
    assert "could not be reached" not in message
    assert "Vault at" not in message


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        (
            {"status": {"reason": "Evicted", "message": "The node was low on resource: memory."}},
            "Pod team-payments/load-abc was ended before its main process started (Evicted). "
            "The node was low on resource: memory.",
        ),
        (
            {"status": {"reason": "DeadlineExceeded"}},
            "Pod team-payments/load-abc was ended before its main process started (DeadlineExceeded).",
        ),
        (
            {"metadata": {"deletion_timestamp": "2026-01-02T03:04:05Z"}},
            "Pod team-payments/load-abc was deleted before its main process started.",
        ),
    ],
)
def test_a_pod_that_was_ended_from_outside_is_told_as_that(changed: dict[str, Any], first: str) -> None:
    result = pod(ended(UNREACHABLE))
    for part, fields in changed.items():
        for name, value in fields.items():
            setattr(getattr(result, part), name, value)

    problem = failure.delivery_failure(result, LOGIN, "base")

    assert isinstance(problem, DeliveryUnavailable)
    assert first == str(problem).splitlines()[0]


def test_another_init_container_that_failed_is_named() -> None:
    result = pod(ended(UNREACHABLE))
    other = copy.deepcopy(result.status.init_container_statuses[0])
    other.name, other.state.terminated.exit_code = "wait-for-it", 4
    result.status.init_container_statuses.append(other)

    message = str(failure.delivery_failure(result, LOGIN, "base"))

    assert message.startswith("Container 'wait-for-it' ended with exit code 4 before the main process started.")


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (REFUSED_LOGIN, "doctor --team pay (see VAULT-LOGIN)"),
        (FORBIDDEN, "doctor --team pay --dags DIR (see VAULT-PATHS)"),
        (ENGINE, "doctor --team pay --dags DIR (see VAULT-PATHS)"),
        (UNREACHABLE, "doctor --team pay --from pod (see POD-REACHES-VAULT)"),
        (f'{FATAL} error="x509: unknown authority"', "doctor --team pay --from pod (see POD-REACHES-VAULT)"),
        (f'{FATAL} error="disk full"', "doctor --team pay --task none (see POD-DELIVERY)"),
    ],
)
def test_the_step_of_doctor_that_shows_more_is_named_last(message: str, step: str) -> None:
    login = VaultLogin("https://vault:8200", "payments", team="pay")

    shown = str(failure.delivery_failure(pod(ended(message)), login, "base"))

    assert shown.endswith(f"\n  Run: airflow k8s-vault {step}"), shown


@pytest.mark.parametrize(
    ("reason", "is_of_dag", "words"),
    [
        ('invalid role name "x"', False, " --team pay"),
        ('role "x" could not be found', True, " --team pay --dags DIR"),
    ],
)
def test_a_role_that_is_not_there_is_to_be_compiled_and_applied(reason: str, is_of_dag: bool, words: str) -> None:
    login = VaultLogin("https://vault:8200", "payments", team="pay", is_of_dag=is_of_dag)
    words = (
        f"There is no auth/kubernetes/role/payments: compile and apply (airflow k8s-vault compile vault{words})."
    )

    message = str(
        failure.delivery_failure(pod(ended(REFUSED_LOGIN.replace("permission denied", reason))), login, "base")
    )

    assert words in message


@pytest.mark.parametrize(
    ("method", "reason", "advice"),
    [
        ("kubernetes", "permission denied", "the mount has a token_reviewer_jwt"),
        ("kubernetes", "token is not yet valid", "the clocks: the token's times are the cluster's"),
        ("jwt", "token is expired", "the clocks: the token's times are the cluster's"),
        ("jwt", "no known key successfully validated", "auth/kubernetes/config knows the keys"),
    ],
)
def test_after_a_refused_login_it_says_what_to_look_at(method: str, reason: str, advice: str) -> None:
    login = VaultLogin("https://vault:8200", "payments", auth_method=method)

    message = str(
        failure.delivery_failure(pod(ended(REFUSED_LOGIN.replace("permission denied", reason))), login, "base")
    )

    assert f"Check auth/kubernetes/role/payments (bound service account, namespace, audience), and {advice}" in (
        message.replace("and that ", "and ")
    )


@pytest.mark.parametrize(
    ("ended_as", "reason"),
    [
        (("exec sh: argument list too long", 128, "StartError"), "    exec sh: argument list too long"),
        (
            ('exec: "sh": executable file not found in $PATH', 128, "StartError"),
            "it has to hold sh, and bao or vault",
        ),
        (("sh: 103: vault: not found", 127, "Error"), "    sh: 103: vault: not found"),
        (("sh: 103: vault: Permission denied", 126, "Error"), "The image is [k8s_vault] vault_agent_image"),
    ],
)
def test_an_agent_that_could_not_be_started_is_not_told_as_vaults_doing(
    ended_as: tuple[str, int, str], reason: str
) -> None:
    result = why(ended(*ended_as))

    assert type(result) is DeliveryRefused
    assert reason in str(result)
    assert "Vault at" not in str(result)


def test_an_agent_that_waits_for_its_next_start_has_failed_too() -> None:
    crash_loop = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}

    assert "refused role" in str(why(crash_loop, lastState=ended(REFUSED_LOGIN)))


def test_an_agent_without_memory_is_an_outage() -> None:
    assert isinstance(why(ended("", 137, "OOMKilled")), DeliveryUnavailable)


def test_an_agent_that_finds_that_the_one_before_it_was_killed_is_an_outage() -> None:
    result = why(ended(f"Success! Revoked token (if it existed)\n{KILLED}\n", 137))

    assert isinstance(result, DeliveryUnavailable)
    assert "fetched the secrets: out of memory, most likely" in str(result)


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_a_container_that_cannot_be_made_is_named_with_its_reason(reason: str) -> None:
    result = why({"waiting": {"reason": reason, "message": "no such thing"}})

    assert isinstance(result, DeliveryRefused)
    assert f"Vault agent's container of pod team-payments/load-abc cannot start ({reason})" in str(result)
    assert "vault_agent_image" in str(result)


@pytest.mark.parametrize(
    "message",
    [
        'failed to pull image "x": unexpected status from HEAD request: 429 Too Many Requests',
        "context deadline exceeded",
        "dial tcp 10.0.0.1:443: i/o timeout",
    ],
)
def test_a_registry_that_does_not_answer_just_now_is_an_outage(message: str) -> None:
    result = why({"waiting": {"reason": "ErrImagePull", "message": message}})

    assert isinstance(result, DeliveryUnavailable)
    assert message in str(result)


@pytest.mark.parametrize("agent", [RUNNING, WAITING, ended("", 0, "Completed")])
def test_nothing_is_wrong_while_the_agent_runs_waits_or_ended_well(agent: dict[str, Any]) -> None:
    assert why(agent) is None


@pytest.mark.parametrize("base", [RUNNING, ended("", 0, "Completed")])
def test_an_agent_that_fails_later_does_not_undo_the_delivery(base: dict[str, Any]) -> None:
    assert why(ended(UNREACHABLE), base) is None


def test_a_base_container_that_only_ended_with_its_pod_never_started() -> None:
    never = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}

    assert isinstance(why(ended(REFUSED_LOGIN), never), DeliveryRefused)


def test_a_missing_executable_is_named_with_its_image() -> None:
    message = 'OCI runtime create failed: exec: "python": executable file not found in $PATH: unknown'

    shown = start_failure(pod(RUNNING, ended(message, 128, "StartError")), "base")

    assert shown is not None
    assert "image 'i' has no executable 'python' (exit code 128)" in shown


def test_an_environment_that_is_too_large_for_linux_is_told_with_its_limits() -> None:
    message = start_failure(pod(RUNNING, ended("exec /bin/sh: argument list too long", 128, "StartError")), "base")

    assert "128 KiB each with the name, 2 MiB together. Take the largest as files" in str(message)


def test_a_program_that_ran_and_failed_is_none_of_our_business() -> None:
    assert start_failure(pod(RUNNING, ended("oh", 1)), "base") is None
