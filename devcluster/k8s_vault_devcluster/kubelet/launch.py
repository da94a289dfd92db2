"""From a container of a pod to its sandbox.

Needed by every container.
"""

from __future__ import annotations

from pathlib import Path

from k8s_vault_devcluster.kubelet import environment, memory, sandbox
from k8s_vault_devcluster.kubelet.images import Profile
from k8s_vault_devcluster.kubelet.logs import Log
from k8s_vault_devcluster.kubelet.pod import Pod
from k8s_vault_devcluster.kubelet.sandbox import Mount, Sandbox, SandboxSpec
from k8s_vault_devcluster.store import Object

_TEMPORARY = ["/tmp", "/var/tmp"]  # noqa: S108 - the container's own


async def launch(pod: Pod, container: Object, profile: Profile, folder: Path, run: int, log: Log) -> Sandbox:
    """Start the container's run number `run`; raise ConfigError, StartFailed or SandboxFailed."""
    uid, gid = environment.user(pod.obj, container, profile)
    env = _environment(pod, container, profile, uid)
    message = folder / f"{run}.termination"
    message.touch(mode=0o600)
    read_only = bool((container.get("securityContext") or {}).get("readOnlyRootFilesystem"))
    with pod.volumes.mounts(container) as mounts:
        spec = SandboxSpec(
            rootfs=pod.node.rootfs(profile),
            folder=folder,
            command=environment.command(container, profile, env),
            env=env,
            uid=uid,
            gid=gid,
            hostname=pod.hostname,
            working_dir=container.get("workingDir") or profile.working_dir,
            mounts=[*_managed(pod, container, message), *mounts],
            scratch=[] if read_only or uid == 0 else _writable(profile, uid),
            # The image's files are root's: no other user can write them.
            read_only_root=read_only or uid != 0,
            memory_bytes=memory.limit_bytes(container),
            killed_whole=pod.node.kills_groups,
        )
        return await sandbox.start(spec, log.feed)


def _environment(pod: Pod, container: Object, profile: Profile, uid: int) -> dict[str, str]:
    """The runtime sets HOME and HOSTNAME, the image the rest; the pod's own variables win."""
    home = "/root" if uid == 0 else f"/home/{profile.user}" if uid == profile.uid else "/"
    own = environment.environment(pod.node.store, pod.obj, container, pod.volumes.paths(), pod.node.service_env)
    skipped = [
        name
        for source in container.get("envFrom") or []
        for name in environment.invalid_names(pod.node.store, pod.obj, source)
    ]
    if skipped:
        why = "were skipped since they are considered invalid environment variable names."
        pod.event("Warning", "InvalidEnvironmentVariableNames", f"Keys [{', '.join(skipped)}] {why}")
    return {"HOME": home, "HOSTNAME": pod.hostname, **profile.env, **own}


def _managed(pod: Pod, container: Object, message: Path) -> list[Mount]:
    """The files that the kubelet keeps in every container."""
    message_path = container.get("terminationMessagePath") or "/dev/termination-log"
    return [
        Mount(pod.folder / "hosts", "/etc/hosts"),
        Mount(pod.folder / "hostname", "/etc/hostname"),
        Mount(message, message_path, read_only=False),
    ]


def _writable(profile: Profile, uid: int) -> list[str]:
    return [*_TEMPORARY, *(profile.writable if uid == profile.uid else [])]
