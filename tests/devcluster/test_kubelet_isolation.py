"""What a container can reach: its own, and nothing else of this machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from k8s_vault_devcluster.kubelet import ExecFailed, inside
from k8s_vault_devcluster.kubelet.volumes import memory_prefix, remove_left_over_memory

from tests.devcluster.one_node import OneNode, on_one_node, secret, sh

USERS = [0, 1000]


@on_one_node
async def test_host_folders_are_empty_or_not_there(node: OneNode) -> None:
    marker = node.root / "kubeconfig"
    await node.until(node.root.exists)
    marker.write_text("token")
    output = await node.output(
        f"cat {marker} {__file__}; ls -A /home /tmp /root /work /var/lib; find / -name kubeconfig"
    )

    assert "token" not in output
    assert ".venv" not in output
    assert "/home:\n\n" in output


@on_one_node
async def test_the_environment_of_devcluster_is_not_inherited(node: OneNode) -> None:
    os.environ["DEVCLUSTER_CANARY"] = "canary"
    output = await node.output("env; cat /proc/1/environ")

    assert "canary" not in output
    assert "VIRTUAL_ENV" not in output


@pytest.mark.parametrize("uid", USERS)
def test_kernel_settings_cannot_be_written_and_there_are_no_capabilities(tmp_path: Path, uid: int) -> None:
    @on_one_node
    async def scenario(node: OneNode) -> None:
        script = """
            grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status
            for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname; do
                test -w $file && echo writable
            done
            mount -t tmpfs x /mnt 2>/dev/null && echo mounted
            true
        """
        output = await node.output(script, container={"securityContext": {"runAsUser": uid}})

        assert set(output.split()[1::2]) == {"0000000000000000"}
        assert "writable" not in output
        assert "mounted" not in output

    scenario(tmp_path)


@on_one_node
async def test_processes_of_other_containers_and_of_the_host_cannot_be_seen_or_signalled(node: OneNode) -> None:
    node.pod(sh("sleep 60; :"), name="victim")
    await node.phase("Running", name="victim")
    pid = node.kubelet._worker("test", "victim").find("base").sandbox.pid
    output = await node.output(
        f"echo $$$$; ls /proc | grep -c '^[0-9]'; kill -9 {pid} {os.getpid()} -1; echo alive"
    )

    assert output.split()[0] == "1"
    assert int(output.split()[1]) <= 4
    assert node.status("victim")["phase"] == "Running"


@on_one_node
async def test_volumes_of_other_pods_and_unmounted_ones_of_the_same_pod_are_out_of_reach(node: OneNode) -> None:
    node.store.create("secrets", secret("s", password="hunter2"))
    volume = {"name": "s", "secret": {"secretName": "s"}}
    mount = {"name": "s", "mountPath": "/s"}
    node.pod(sh("cat /s/password; sleep 1", volumeMounts=[mount]), sh("sleep 60", "other"), volumes=[volume])
    await node.phase("Running")
    look = "cat /s/* /proc/*/root/s/* 2>/dev/null; grep -rl hunter2 /dev/shm /tmp /var /run /etc 2>/dev/null; true"
    await node.until(lambda: node.container("other")["state"].get("running"))
    process = await node.kubelet.exec("test", "pod", "other", ["sh", "-c", look], stdin=False, tty=False)
    out, _ = await process.communicate()

    assert await node.log(follow=True) == "hunter2"
    assert out == b""


@on_one_node
async def test_a_secret_and_a_token_are_never_on_the_disk(node: OneNode) -> None:
    node.store.create("secrets", secret("s", key="canary-on-disk"))
    token = {"serviceAccountToken": {"audience": "vault", "expirationSeconds": 600, "path": "token"}}
    node.pod(
        sh(
            "test -s /a/key && test -s /b/token && sleep 60",
            volumeMounts=[{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}],
        ),
        volumes=[{"name": "a", "secret": {"secretName": "s"}}, {"name": "b", "projected": {"sources": [token]}}],
    )
    await node.phase("Running")
    files = [path for path in node.root.rglob("*") if path.is_file() and not path.is_symlink()]

    assert files
    assert [path for path in files if path.parts[-1] in ("key", "token")] == []


@on_one_node
async def test_a_program_that_an_image_has_not_is_nowhere(node: OneNode) -> None:
    node.pod(
        sh(
            "find / -xdev -perm -1 -type f \\( -name 'python3*' -o -name bao -o -name psql \\)",
            image="ubuntu:24.04",
        )
    )
    await node.over()

    assert await node.log() == ""


@on_one_node
async def test_the_python_image_has_the_standard_library_and_nothing_of_ours(node: OneNode) -> None:
    code = "import ssl, sqlite3, importlib.util as u; print([u.find_spec(n) for n in ('airflow', 'hvac', 'pip')])"
    node.pod({"name": "base", "image": "python:3.12-slim", "args": ["python", "-c", code]})
    await node.over()

    assert await node.log() == "[None, None, None]\n"


@pytest.mark.parametrize(
    ("image", "command", "says"),
    [
        ("postgres:18", ["psql", "--version"], "psql (PostgreSQL) 18"),
        ("openbao/openbao:2.7.2", ["bao", "version"], "OpenBao v2.7.2"),
        ("docker.io/library/alpine:3.24.2", ["pgrep", "-V"], "pgrep"),
    ],
)
def test_each_image_has_its_program(tmp_path: Path, image: str, command: list[str], says: str) -> None:
    @on_one_node
    async def scenario(node: OneNode) -> None:
        node.pod({"name": "base", "image": image, "command": command})
        await node.over()

        assert (await node.log()).startswith(says)

    scenario(tmp_path)


@on_one_node
async def test_a_read_only_root_takes_writes_only_in_volumes(node: OneNode) -> None:
    fields = {
        "securityContext": {"readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/ro", "readOnly": True}],
    }
    script = "for path in /x /tmp/x /etc/x /v/x /ro/x; do touch $path 2>/dev/null && echo $path; done; true"
    output = await node.output(script, container=fields, volumes=[{"name": "v", "emptyDir": {}}])

    # /ro/x is the same file, there by then, but its time cannot be changed.
    assert output == "/v/x\n"


@on_one_node
async def test_root_can_write_its_own_copy_of_the_image_and_another_user_only_tmp(node: OneNode) -> None:
    script = "for path in /x /usr/bin/x /tmp/x; do touch $path 2>/dev/null && echo $path; done; id -u"
    as_root = await node.output(script)
    user = {"securityContext": {"runAsUser": 1234, "runAsGroup": 99}}
    node.pod(sh(script, **user), name="user")
    await node.over("user")
    node.pod(sh("ls /x /usr/bin/x"), name="next")
    await node.over("next")

    assert as_root == "/x\n/usr/bin/x\n/tmp/x\n0\n"
    assert await node.log(name="user") == "/tmp/x\n1234\n"
    assert "cannot access '/x'" in await node.log(name="next")


@on_one_node
async def test_exec_sees_what_the_container_sees(node: OneNode) -> None:
    env = [{"name": "X", "value": "from pod"}]
    node.pod(sh("sleep 60; :", env=env, workingDir="/somewhere", securityContext={"runAsUser": 1000}))
    await node.phase("Running")
    code, out, _ = await node.exec(
        "sh", "-c", "cat; id -u; pwd; hostname; echo $X; cat /proc/1/comm; exit 5", stdin=b"in\n"
    )

    assert code == 5
    assert out == "in\n1000\n/somewhere\npod\nfrom pod\nsh\n"


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("nosuch", "executable file not found in $PATH"),
        ("/no/such", "stat /no/such: no such file or directory"),
        ("/etc/passwd", "permission denied"),
    ],
)
def test_exec_of_what_is_no_program_is_an_error_and_no_exit_code(tmp_path: Path, program: str, why: str) -> None:
    @on_one_node
    async def scenario(node: OneNode) -> None:
        node.pod(sh("sleep 60; :"))
        await node.phase("Running")

        with pytest.raises(ExecFailed) as caught:
            await node.exec(program)

        assert str(caught.value).startswith('failed to exec in container: failed to start exec "')
        assert str(caught.value).endswith(f'unable to start container process: exec: "{program}": {why}')

    scenario(tmp_path)


@on_one_node
async def test_a_container_cannot_make_exec_run_its_own_files_with_more_rights(node: OneNode) -> None:
    node.pod(
        sh("mkdir -p /usr/local/lib/python3.11; echo 'print(1)' > /usr/local/lib/python3.11/warnings.py; sleep 60")
    )
    await node.phase("Running")
    await asyncio.sleep(0.1)
    _, out, _ = await node.exec("sh", "-c", "grep CapEff /proc/self/status")

    assert out == "CapEff:\t0000000000000000\n"


def test_a_path_never_leaves_its_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("outside")
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "up").symlink_to("../outside")
    (volume / "absolute").symlink_to(tmp_path / "outside")
    (volume / "loop").symlink_to("loop")
    os.mkfifo(volume / "fifo")

    for path in ("up", "absolute", "../outside", "loop", "fifo"):
        with pytest.raises(OSError, match=r"No such file|Too many levels|not a regular file"):
            inside.read_inside(volume, path, 100)


def test_containers_end_when_devcluster_is_killed_and_the_next_start_removes_what_they_left(
    tmp_path: Path,
) -> None:
    root = tmp_path / "node"
    program = """
import asyncio, sys
from pathlib import Path
from tests.devcluster.one_node import OneNode, sh

async def main():
    async with OneNode(Path(sys.argv[1])).running() as node:
        node.pod(sh("trap '' TERM; sleep 60; :"), volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}])
        await node.phase("Running")
        print(node.kubelet._worker("test", "pod").find("base").sandbox.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    devcluster = subprocess.Popen([sys.executable, "-c", program, root], stdout=subprocess.PIPE, text=True)
    assert devcluster.stdout
    pid = int(devcluster.stdout.readline())
    left = list(Path("/dev/shm").glob(f"{memory_prefix(root)}*"))
    devcluster.kill()
    devcluster.wait()
    devcluster.stdout.close()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    remove_left_over_memory(root)

    assert not Path(f"/proc/{pid}").exists()
    assert len(left) == 1
    assert not left[0].exists()
