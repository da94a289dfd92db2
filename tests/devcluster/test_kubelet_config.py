"""What a container is given: environment, volumes, fields; and which fields are refused."""

from __future__ import annotations

import asyncio

import pytest
from k8s_vault_devcluster.kubelet.env_file import EnvFileError, value_of
from k8s_vault_devcluster.kubelet.support import unsupported

from tests.devcluster.one_node import OneNode, on_one_node, secret, sh


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("KEY='a'", "a"),
        ("  # note\n\n\tKEY='a' # note\n", "a"),
        ("OTHER='x'\nKEY='two\n\nlines'\n", "two\n\nlines"),
        ("KEY='$HOME \\n \"q\" #'", '$HOME \\n "q" #'),
        ("KEY=  'a'", ""),
        ("OTHER='a'", ""),
        ("KEY='a'\r\n", "a"),
        ("KEY='first'\nbroken", "first"),
    ],
)
def test_an_env_file_is_read_as_the_kubelet_reads_it(content: str, value: str) -> None:
    assert value_of("KEY", content.encode()) == value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("KEY", "at line 1: missing '='"),
        ("='a'", "at line 1: empty variable name"),
        ("\nKEY ='a'", "at line 2: whitespace before '=' is not allowed"),
        ("KEY=a", "at line 1: value must be enclosed in single quotes"),
        ('KEY="a"', "at line 1: value must be enclosed in single quotes"),
        ("KEY='it''s'", "at line 1: unexpected content after closing quote"),
        ("OTHER='x'\nKEY='open\nmore", "starting at line 2: unclosed single quote"),
    ],
)
def test_a_malformed_env_file_is_an_error_with_its_line(content: str, problem: str) -> None:
    with pytest.raises(EnvFileError, match=problem):
        value_of("KEY", content.encode())


@on_one_node
async def test_variables_come_from_values_fields_objects_and_expansion(node: OneNode) -> None:
    node.store.create("secrets", secret("s", password="pw", **{"a b": "spaced"}))
    node.store.create("configmaps", {"metadata": {"name": "c", "namespace": "test"}, "data": {"k": "v"}})
    field = lambda path: {"fieldRef": {"fieldPath": path}}  # noqa: E731
    env = [
        {"name": "PLAIN", "value": "$(CFG_k) $(NOPE) $$(CFG_k)"},
        {"name": "NAME", "valueFrom": field("metadata.name")},
        {"name": "TEAM", "valueFrom": field("metadata.labels['team']")},
        {"name": "IP", "valueFrom": field("status.podIP")},
        {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
        {"name": "GONE", "valueFrom": {"secretKeyRef": {"name": "no", "key": "x", "optional": True}}},
    ]
    sources = [{"prefix": "CFG_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "no", "optional": True}}]
    container = sh("", env=env, envFrom=sources) | {"command": ["sh", "-c"], "args": ["echo $(PW); env"]}
    node.pod(container)
    await node.over()
    lines = (await node.log()).splitlines()
    values = dict(line.split("=", 1) for line in lines[1:])

    assert lines[0] == "pw"
    assert values["PLAIN"] == "v $(NOPE) $(CFG_k)"
    assert (values["NAME"], values["TEAM"], values["IP"], values["PW"]) == ("pod", "payments", "127.0.0.1", "pw")
    assert "GONE" not in values
    assert values["KUBERNETES_SERVICE_PORT"] == "6443"
    assert values["HOSTNAME"] == "pod"


@on_one_node
async def test_a_missing_secret_is_waited_for_with_its_name(node: OneNode) -> None:
    env = [{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "late", "key": "password"}}}]
    node.pod(sh("echo $PW", env=env))
    state = await node.waiting("CreateContainerConfigError")
    node.store.create("secrets", secret("late", other="x"))
    await node.until(
        lambda: "couldn't find key" in node.container()["state"].get("waiting", {}).get("message", "")
    )
    node.store.update(
        "secrets", "test", "late", lambda obj: obj.update(secret("late", password="pw") | obj["metadata"])
    )
    node.store.remove("secrets", "test", "late")
    node.store.create("secrets", secret("late", password="pw"))
    await node.over()

    assert state["message"] == 'secret "late" not found'
    assert await node.log() == "pw\n"


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        ("KEY=bare", "KEY", "couldn't parse env file"),
        ("OTHER='x'", "KEY", 'environment variable key "KEY" not found in file "/var/lib/kubelet/pods/'),
        ("KEY='" + "x" * 33000 + "'", "KEY", "environment variable value exceeds maximum size of 32KB"),
    ],
)
def test_a_file_key_that_cannot_be_had_keeps_the_container_from_starting(
    tmp_path: object, content: str, key: str, message: str
) -> None:
    @on_one_node
    async def scenario(node: OneNode) -> None:
        reference = {"fileKeyRef": {"volumeName": "v", "path": "e", "key": key}}
        write = sh("cat > /v/e <<'END'\n$(CONTENT)\nEND", "init", volumeMounts=[{"name": "v", "mountPath": "/v"}])
        write["env"] = [{"name": "CONTENT", "value": content}]
        main = sh("true", env=[{"name": "KEY", "valueFrom": reference}])
        node.pod(main, initContainers=[write], volumes=[{"name": "v", "emptyDir": {}}])
        state = await node.waiting("CreateContainerConfigError")

        assert state["message"].startswith(message)
        assert ("Failed", f"Error: {state['message']}") in node.events()

    scenario(tmp_path)


@on_one_node
async def test_a_file_key_reaches_a_container_that_does_not_mount_the_volume(node: OneNode) -> None:
    mounts = [{"name": "v", "mountPath": "/v"}]
    reference = {"fileKeyRef": {"volumeName": "v", "path": "e", "key": "PW"}}
    node.pod(
        sh('printf "%s" "$PW"; ls /v', env=[{"name": "PW", "valueFrom": reference}]),
        initContainers=[sh("printf \"PW='two\\nlines'\" > /v/e", "init", volumeMounts=mounts)],
        volumes=[{"name": "v", "emptyDir": {"medium": "Memory"}}],
    )
    await node.over()

    assert (await node.log()).startswith("two\nlinesls: ")


@on_one_node
async def test_a_mounted_secret_changes_in_one_step_when_the_object_does(node: OneNode) -> None:
    node.store.create("secrets", secret("s", a="1", b="1"))
    volume = {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}}
    node.pod(sh("sleep 60; :", volumeMounts=[{"name": "s", "mountPath": "/s"}]), volumes=[volume])
    await node.phase("Running")
    before = await node.exec("sh", "-c", "cat /s/a /s/b; stat -Lc %a /s/a; readlink /s/a; touch /s/x")
    node.store.update("secrets", "test", "s", lambda obj: obj.update(data=secret("s", a="2", c="2")["data"]))
    await asyncio.sleep(0.05)
    after = await node.exec("sh", "-c", "cat /s/a /s/c; ls /s")

    assert before[1] == "11400\n..data/a\n"
    assert "Read-only file system" in before[2]
    assert after[1] == "22a\nc\n"


@on_one_node
async def test_a_projected_volume_holds_token_fields_and_objects(node: OneNode) -> None:
    node.store.create("configmaps", {"metadata": {"name": "c", "namespace": "test"}, "data": {"k": "v"}})
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
        {"configMap": {"name": "c", "items": [{"key": "k", "path": "deep/k"}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    volume = {"name": "p", "projected": {"sources": sources}}
    mount = {"name": "p", "mountPath": "/p"}
    output = await node.output(
        "cat /p/token; echo; cat /p/deep/k; echo; cat /p/labels; sleep 1",
        container={"volumeMounts": [mount]},
        volumes=[volume],
    )
    token, value, labels = output.splitlines()

    assert (value, labels) == ("v", 'team="payments"')
    assert node.tokens.review(token, ["vault"])["user"]["username"] == "system:serviceaccount:test:default"


@on_one_node
async def test_a_missing_volume_source_holds_the_pod_back_and_is_an_event(node: OneNode) -> None:
    mount = {"name": "s", "mountPath": "/s"}
    node.pod(sh("cat /s/a", volumeMounts=[mount]), volumes=[{"name": "s", "secret": {"secretName": "late"}}])
    expected = ("FailedMount", 'MountVolume.SetUp failed for volume "s" : secret "late" not found')
    await node.until(lambda: expected in node.events())
    held = node.container()["state"]
    node.store.create("secrets", secret("late", a="here"))
    await node.over()

    assert held == {"waiting": {"reason": "ContainerCreating"}}
    assert await node.log() == "here"


@on_one_node
async def test_a_sub_path_shows_one_part_of_a_volume(node: OneNode) -> None:
    mounts = [{"name": "v", "mountPath": "/all"}, {"name": "v", "mountPath": "/part", "subPath": "a/b"}]
    fields = {"volumeMounts": mounts}
    output = await node.output(
        "echo x > /part/file; find /all -type f", container=fields, volumes=[{"name": "v", "emptyDir": {}}]
    )

    assert output == "/all/a/b/file\n"


@on_one_node
async def test_logs_can_be_cut_and_stamped(node: OneNode) -> None:
    await node.output("for n in 1 2 3 4; do echo line $n; done; printf rest")

    assert await node.log(tail_lines=2) == "line 4\nrest"
    assert await node.log(limit_bytes=9) == "line 1\nli"
    assert await node.log(since_time="2999-01-01T00:00:00Z") == ""
    assert (await node.log(timestamps=True, tail_lines=1)).split(" ")[0].endswith("Z")


@on_one_node
async def test_a_followed_log_goes_on_to_the_end(node: OneNode) -> None:
    node.pod(sh("for n in 1 2 3; do echo $n; sleep 0.1; done"))
    await node.phase("Running")

    assert await node.log(follow=True) == "1\n2\n3\n"


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"hostNetwork": True}, "spec.hostNetwork"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath"),
        ({"containers": [{"livenessProbe": {"exec": {}}}]}, "spec.containers[0].livenessProbe"),
        (
            {"containers": [{"securityContext": {"privileged": True}}]},
            "spec.containers[0].securityContext.privileged",
        ),
        (
            {"containers": [{"env": [{"valueFrom": {"resourceFieldRef": {"resource": "cpu"}}}]}]},
            "spec.containers[0].env[0].valueFrom.resourceFieldRef",
        ),
        (
            {"containers": [{"volumeMounts": [{"mountPath": "/a"}, {"mountPath": "/a/b"}]}]},
            "spec.containers[0].volumeMounts[1].mountPath",
        ),
        (
            {"containers": [{"lifecycle": {"preStop": {"httpGet": {"port": 1}}}}]},
            "spec.containers[0].lifecycle.preStop.httpGet",
        ),
    ],
)
def test_a_field_without_effect_is_named(spec: dict[str, object], path: str) -> None:
    assert [field for field, _ in unsupported({"spec": spec})] == [path]


def test_a_restricted_pod_is_supported() -> None:
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "base", "image": "alpine:3.24.2", "securityContext": security, "stdin": False}

    assert unsupported({"spec": {"containers": [container], "hostNetwork": False}}) == []
