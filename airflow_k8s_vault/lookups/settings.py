"""The settings that say where Airflow's connections, variables and config values are in Vault."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_k8s_vault import cast
from airflow_k8s_vault.lookups.paths import Rules
from airflow_k8s_vault.setting_rows import row


@dataclass(frozen=True, kw_only=True, repr=False)
class LookupSettings:
    """The part of the secrets backend's settings that knows no Vault client; see vault.settings for the rest."""

    # Where Airflow's names are looked up.
    connections_path: tuple[str, ...] | None = row(
        ("connections",),
        cast.paths,
        "Path of connections in the mount, or several, tried in order; null: none.",
        none=True,
    )
    variables_path: tuple[str, ...] | None = row(
        ("variables",),
        cast.paths,
        "Path of variables in the mount, or several, tried in order; null: none.",
        none=True,
    )
    config_path: tuple[str, ...] | None = row(
        ("config",),
        cast.paths,
        "Path of config values in the mount, or several, tried in order; null: none.",
        none=True,
    )
    global_secrets_path: str | None = row(
        None, cast.text, "One more path, tried last, of all three kinds (deprecated: give a list of paths)."
    )
    mount_point: str | None = row(
        "secret",
        cast.text,
        "Mount of the KV engine; null: the part of the looked-up id before its first slash.",
        none=True,
    )
    kv_engine_version: int = row(2, cast.one_of(1, 2), "Version of the KV engine.")

    # Teams.
    use_team_secrets_path: bool = row(
        True, cast.boolean, "With Airflow's multi-team: look in {path}/{team}/ for a team's names."
    )
    team_fallback_to_shared: bool = row(
        False, cast.boolean, "With a team: after {path}/{team}/{key}, look at the shared {path}/{key}."
    )
    team_role: str | None = row(
        None, cast.text, "Role for a team's look-ups, with {team} in it (`airflow-{team}`)."
    )
    team_namespace: str | None = row(None, cast.text, "Vault namespace for a team's look-ups, with {team} in it.")
    team_mount_point: str | None = row(None, cast.text, "Mount for a team's look-ups, with {team} in it.")

    def bases(self, name: str) -> tuple[str, ...]:
        """Return the paths of a kind, in order; name: "connections_path", "variables_path" or "config_path"."""
        own = getattr(self, name) or ()
        extra = self.global_secrets_path
        return own if extra is None else (*own, extra.rstrip("/"))

    def rules(self, multi_team: bool) -> Rules:
        return Rules(
            self.mount_point,
            self.team_mount_point,
            self.use_team_secrets_path,
            self.team_fallback_to_shared,
            multi_team,
        )
