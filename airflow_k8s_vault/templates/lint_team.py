"""What lint says of team.yaml and platform.yaml themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from airflow_k8s_vault import config
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.policy import platform_image_mistakes
from airflow_k8s_vault.teams import Team, dotted

_XCOM_OPTION = "the Kubernetes connection's xcom_sidecar_container_image"


class Finding(NamedTuple):
    """One thing to look at. `error` fails the command; `warning` does not."""

    severity: str
    where: str
    what: str


def of_team(team: Team) -> Iterator[Finding]:
    """Yield what is wrong with the team's images, ceilings and open arguments."""
    for alias, image in team.images.items():
        yield from _of_image(image, team, image_place(team, alias))
    for key in ("secrets", "update"):
        for index, ceiling in enumerate(getattr(team, key)):
            if message := _too_wide(ceiling):
                yield Finding("warning", team.where(dotted((key, index))), f"'{ceiling}' {message}")
    for name in sorted(set(team.requested_overridable) - set(team.overridable)):
        closed = team.platform_where("overridable")
        where = team.where(dotted(("overridable", team.requested_overridable.index(name))))
        yield Finding("error", where, f"opens {name}, which {closed} keeps closed.")


def image_place(team: Team, alias: str) -> str:
    """Return the file and line of one of the team's images."""
    return team.where(dotted(("images", alias)))


def of_own_images(teams: list[Team]) -> Iterator[Finding]:
    """Yield where the platform's limits on images would refuse the ones that this package adds to pods."""
    if not teams:
        return
    platform = teams[0].platform
    limited = platform.registries is not None or platform.digests_only
    named = {}
    if limited:
        try:
            named["[k8s_vault] vault_agent_image"] = config.get("vault_agent_image")
        except K8sVaultError as error:
            yield Finding("error", "[k8s_vault]", str(error).partition("\n")[0])
            return
    if any(team.walls.xcom for team in teams) and (limited or platform.xcom_image):
        connections, default = _xcom_images()
        known = platform.xcom_image or default
        named[f"the XCom sidecar ({_XCOM_OPTION})"] = connections or known
        if connections and connections != known:
            message = f"{_XCOM_OPTION} is '{connections}'; xcom_image has to be the same, and is '{known}'."
            yield Finding("error", teams[0].platform_where("xcom_image"), message)
    if not limited:
        return
    for what, image in named.items():
        for message in platform_image_mistakes(image, teams[0]):
            where = teams[0].platform_where("digests_only" if "digest" in message else "registries")
            yield Finding("error", where, f"{what} is '{image}'; {message}")


def _xcom_images() -> tuple[str | None, str]:
    """Return the image of the Kubernetes connection, None where it has none or is not here, and the provider's."""
    # Imported here: it takes two seconds, and few platforms limit images.
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
    from airflow.providers.cncf.kubernetes.utils.xcom_sidecar import PodDefaults

    default = str(PodDefaults.SIDECAR_CONTAINER.image)
    try:
        hook: Any = KubernetesHook()
        return hook.get_xcom_sidecar_container_image(), default
    except Exception:
        # No connection, or no database to look for one.
        return None, default


def _of_image(image: str, team: Team, where: str) -> Iterator[Finding]:
    for message in platform_image_mistakes(image, team):
        yield Finding("error", where, f"{image}: {message}")
    _, _, tag = image.rpartition("/")[2].partition(":")
    if "@" in image or team.platform.digests_only:
        return
    if tag in ("", "latest"):
        yield Finding("error", where, f"{image} is a different image every week; name a version.")
    else:
        yield Finding("warning", where, f"{image} is not pinned; a digest (@sha256:…) cannot be moved.")


def _too_wide(ceiling: str) -> str | None:
    segments = ceiling.split("/")
    if len(segments) == 2 and segments[1] == "*":
        return "covers a whole mount, every team's secrets among them."
    if "*" in segments[1] and segments[1] != "*" and len(segments) > 2:
        return "covers the folders of all whose name starts so; end it at a slash."
    if segments[1] == "*":
        return "covers the same path of every team."
    if len(segments) == 2 and segments[1].endswith("*") and segments[1][-2:-1] not in ("-", "_", "."):
        return "covers every name that starts so; end it in a separator."
    return None
