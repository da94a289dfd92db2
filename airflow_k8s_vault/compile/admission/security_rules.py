"""The Pod Security Standards in Kubernetes' expression language: the controls of policy.pod_security.

The namespace's label has Kubernetes' own admission hold the same. Here they stand as well because the label is one
line that whoever may change namespaces can take away.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_k8s_vault.compile import cel
from airflow_k8s_vault.compile.admission.rule import Rule
from airflow_k8s_vault.policy import (
    BASELINE_CAPABILITIES,
    HOOKS_AND_PROBES,
    SECCOMP_PROFILES,
    SELINUX_TYPES,
    SYSCTLS,
    PodSecurityLevel,
)

_POD, _CONTEXT = "object.spec.securityContext", "c.securityContext"


def of_level(level: PodSecurityLevel) -> Iterator[Rule]:
    """Yield the rules of a level, those of `baseline` among `restricted`'s; none for `privileged`."""
    if level == "privileged":
        return
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        term = cel.absent_or("object.spec", name, f"object.spec.{name} == false")
        yield Rule(term, f"Pod Security: {name} is not allowed.")
    yield from _containers(_baseline())
    yield _each_context("appArmorProfile", "type", SECCOMP_PROFILES)
    yield _each_context("seccompProfile", "type", SECCOMP_PROFILES)
    yield _each_context("seLinuxOptions", "type", SELINUX_TYPES)
    for key in ("user", "role"):
        yield _each_context("seLinuxOptions", key, ("",))
    sysctls = f"{_POD}.sysctls.all(s, s.name in {cel.literal(sorted(SYSCTLS))})"
    yield Rule(f"!({cel.has_all('object.spec', 'securityContext', 'sysctls')}) || {sysctls}", _of("sysctls"))
    host_process = f"{_POD}.windowsOptions.hostProcess == false"
    path = cel.has_all("object.spec", "securityContext", "windowsOptions", "hostProcess")
    yield Rule(f"!({path}) || {host_process}", _of("windowsOptions.hostProcess"))
    if level == "restricted":
        yield from _containers(_restricted())
        user = f"!({cel.has_all('object.spec', 'securityContext', 'runAsUser')}) || {_POD}.runAsUser != 0"
        yield Rule(user, _of("runAsUser"))
        yield _effective("runAsNonRoot", "runAsNonRoot == true")
        yield _effective("seccompProfile", f"seccompProfile.type in {cel.literal(list(SECCOMP_PROFILES))}")


def _of(control: str) -> str:
    return f"Pod Security: {control}."


def _containers(terms: Iterator[tuple[str, str]]) -> Iterator[Rule]:
    for control, term in terms:
        yield Rule(f"variables.containers.all(c, {term})", _of(control))


def _within(path: tuple[str, ...], term: str) -> str:
    return f"!({cel.has_all('c', *path)}) || {term}"


def _baseline() -> Iterator[tuple[str, str]]:
    context = ("securityContext",)
    yield "privileged", _within((*context, "privileged"), f"{_CONTEXT}.privileged == false")
    added = f"{_CONTEXT}.capabilities.add.all(a, a in {cel.literal(sorted(BASELINE_CAPABILITIES))})"
    yield "capabilities.add", _within((*context, "capabilities", "add"), added)
    yield "hostPort", _within(("ports",), f"c.ports.all(p, {cel.absent_or('p', 'hostPort', 'p.hostPort == 0')})")
    yield "procMount", _within((*context, "procMount"), f'{_CONTEXT}.procMount == "Default"')
    windows = (*context, "windowsOptions", "hostProcess")
    yield "hostProcess", _within(windows, f"{_CONTEXT}.windowsOptions.hostProcess == false")
    for steps in HOOKS_AND_PROBES:
        for action in ("httpGet", "tcpSocket"):
            path = (*steps, action, "host")
            yield ".".join(path), _within(path, f'c.{".".join(path)} == ""')


def _restricted() -> Iterator[tuple[str, str]]:
    path = ("securityContext", "allowPrivilegeEscalation")
    yield path[-1], f"{cel.has_all('c', *path)} && c.{'.'.join(path)} == false"
    yield "runAsUser", _within(("securityContext", "runAsUser"), f"{_CONTEXT}.runAsUser != 0")
    drop = ("securityContext", "capabilities", "drop")
    yield "capabilities.drop", f'{cel.has_all("c", *drop)} && "ALL" in c.{".".join(drop)}'
    added = f'{_CONTEXT}.capabilities.add.all(a, a == "NET_BIND_SERVICE")'
    yield "capabilities.add", _within(("securityContext", "capabilities", "add"), added)


def _each_context(option: str, key: str, allowed: tuple[str, ...]) -> Rule:
    """Return the rule that an option of the pod's context, and of each container's, is one of the allowed."""
    listed = cel.literal(sorted(allowed))
    pod = f"!({cel.has_all('object.spec', 'securityContext', option, key)}) || {_POD}.{option}.{key} in {listed}"
    each = _within(("securityContext", option, key), f"{_CONTEXT}.{option}.{key} in {listed}")
    return Rule(f"({pod}) && variables.containers.all(c, {each})", _of(f"{option}.{key}"))


def _effective(option: str, term: str) -> Rule:
    """Return the rule on what holds for each container: its own context's option, or else the pod's."""
    pod = f"{cel.has_all('object.spec', 'securityContext', option)} && {_POD}.{term}"
    own = cel.has_all("c", "securityContext", option)
    return Rule(f"variables.containers.all(c, {own} ? {_CONTEXT}.{term} : ({pod}))", _of(option))
