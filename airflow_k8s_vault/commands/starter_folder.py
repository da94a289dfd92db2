"""A folder of templates to start from: a shared base that meets `restricted`, and one team."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from airflow_k8s_vault import teams
from airflow_k8s_vault.errors import TeamError


def write(target: Path, team: str) -> list[tuple[Path, str]]:
    """Write the folder, and return each file with "written" or "was there", which is left as it is.

    Raises TeamError where the team's name can be none.
    """
    if not teams.is_name(team):
        raise TeamError(f"'{team}' can be no team's name: lower case, digits and - make one.")
    done = []
    for relative, text in _files(resources.files(__package__) / "starter"):
        name = relative.replace("team/", f"{team}/", 1) if relative.startswith("team/") else relative
        file = target / name
        if file.exists():
            done.append((file, "was there"))
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("TEAM", team), encoding="utf-8")
        done.append((file, "written"))
    return done


def next_steps(target: Path, team: str) -> str:
    """Return what to do with the folder: to change, to check, to set, and to write into a DAG."""
    return f"""
Next:
  1. Say in {target / team / "team.yaml"} who the team is: namespace, service account, Vault role, images, secrets.
  2. Check the folder, now and in CI: airflow k8s-vault templates lint {target}
  3. Set [k8s_vault] templates_dir = {target.absolute()}
     (or AIRFLOW__K8S_VAULT__TEMPLATES_DIR), and vault_addr to the address at which pods reach Vault.
  4. See what a task would send: airflow k8s-vault templates render {team}/python
  5. Write it into a DAG: VaultPodOperator(task_id="first", pod_template="{team}/python", cmds=["python", "-V"])"""


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_text(encoding="utf-8")
