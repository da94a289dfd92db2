"""Ways to break out by a file's mode, directory or key, by a prefix, a version, or what Vault is sent."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_k8s_vault import VaultFile, VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import K8sVaultError, PolicyError
from tests.attacks.conftest import Liar, Manifest, make
from tests.attacks.test_secrets_of_others import BREAK_OUT, _agent_config

Created = Callable[[VaultPodOperator], Manifest]
LONG = "x" * 4000
# Beyond ASCII what looks like o, like 0 and like a slash, and what shows the rest of a line the other way round.
LETTER, ZERO, SLASH, REVERSED = "\u043e", "\uff10", "\u2215", "\u202e"

PARAMETERS: list[Any] = [
    *([("common_name", "x")], "ttl=1h", {}, {"a": None}, {"a": True}, {"a": ["x"]}, {"a": {"b": "c"}}),
    *({"a": float("nan")}, {"a": float("inf")}, {"a": b"x"}, {"a": ""}, {"a": " "}, {"a": "x\0"}, {"a": "x\r"}),
    *({"a": "{{ params.x }}"}, {"a": "{% if x %}"}, {"a": BREAK_OUT}, {"a": f"{REVERSED}x"}, {"a": LONG * 5}),
    *({"a=b": "x"}, {"a b": "x"}, {"a'": "x"}, {'a"': "x"}, {"{{ a }}": "x"}, {"a\n": "x"}, {"": "x"}, {1: "x"}),
    *({LONG: "x"}, {f"c{LETTER}mmon_name": "x"}, {"..": "x"}, {"a\0": "x"}, {Liar("a=b", "a"): "x"}),
    {"a": Liar("{{ x }}", "x")},
]
DIRECTORIES: list[Any] = [
    *("/etc", "/", "/home", "/vault", "home/app", "./home/app", "/home/app/", "/home//app", "//home/app"),
    *("/home/..", "/home/../etc/x", "/home/./app", "/home/{{ x }}", "/home/{% x %}", "/home/a:b", "/home/a\0b"),
    *("/home/a\nb", f"/home/{REVERSED}a", f"/home/{LONG}", "/proc/self", "/sys/fs", "/dev/shm", "/run/secrets"),
    *("/var/run/secrets/kubernetes.io/serviceaccount", "/var/run/secrets/vault", "/usr/local/bin", "/lib/x"),
    *("/etc/ssl/certs", "/etc/pam.d", "/etc/ld.so.conf.d", "/etc/profile.d", "/airflow/xcom", "/bin/x"),
    *(1, b"/home/app", ["/home/app"], Path("/home/app"), Liar("/etc", "/home/app")),
]
MODES: list[Any] = [
    *(
        "0777",
        "0600",
        "0444\n",
        "444",
        "4555",
        "0o400",
        f"{ZERO}400",
        "",
        LONG,
        "0444; id",
        "{{ x }}",
        0o444,
        292,
        b"0444",
    ),
    Liar("0777", "0444"),
]
PREFIXES: list[Any] = [
    *("A=", "A\0", "A\n", "A\t", "{{ x }}", f"{LETTER}A", f"A{SLASH}", 1, ["A"]),
    Liar("A=", "A"),
]
KEYS: list[Any] = ["", "a\0b", "a\nb", "{{ x }}", "{% x %}", BREAK_OUT, f"{REVERSED}a", LONG * 2, 1, b"a", ["a"]]
NAMES: list[Any] = ["..", ".", "../x", "..data", "a/b", "a\0b", "", LONG, "{{ x }}", f"{REVERSED}x", 1]
VERSIONS: list[Any] = [0, -1, True, 1.0, "1", "latest", float("nan")]
DECODINGS: list[Any] = ["rot13", "BASE64", "base64 ", 1, True, "", Liar("rot13", "base64")]
SHOWN = r"parameters? |directory |mode |prefix |is no (key|file name)|version of |decode |name of a|names one"


def refused(**given: Any) -> None:
    path = "pki/issue/web" if "parameters" in given else "secret/payments/x"
    with pytest.raises(K8sVaultError, match=SHOWN):
        make(vault_secrets=[VaultSecret(path, **given)])


@pytest.mark.parametrize("field", ["directory", "mode", "decode", "key"])
def test_a_file_that_could_be_another_is_refused(field: str) -> None:
    for value in {"directory": DIRECTORIES, "mode": MODES, "decode": DECODINGS, "key": KEYS}[field]:
        given = {"key": "a", field: value}

        refused(file="f", **given)
        refused(files=[VaultFile("f", **given)])


def test_the_name_of_one_of_several_files_climbs_nowhere() -> None:
    for name in NAMES:
        refused(files=[VaultFile(name, key="a")])
        refused(files={name: "a"})


def test_a_list_of_keys_gives_no_other_variables_than_it_shows() -> None:
    for prefix in PREFIXES:
        refused(env=["a"], prefix=prefix)
    for key in KEYS:
        refused(env=[key], prefix="A_")
    refused(env=["a-b", "a_b"])


def test_a_version_is_a_number_and_nothing_that_goes_on() -> None:
    for version in VERSIONS:
        refused(env={"A": "a"}, version=version)


def test_what_vault_is_sent_is_text_or_numbers_by_name() -> None:
    for parameters in PARAMETERS:
        refused(env={"A": "a"}, engine="dynamic", parameters=parameters)
    for engine in ("kv2", "kv1"):
        refused(env={"A": "a"}, engine=engine, parameters={"a": "x"})


def test_who_may_read_a_path_may_not_write_to_it(templates_dir: Path) -> None:
    team = templates_dir / "payments/team.yaml"
    team.write_text(f"{team.read_text()}update: [pki/issue/web]\n")
    written = {"engine": "dynamic", "parameters": {"ttl": "1h"}, "env": {"A": "a"}}
    read = ("secret/payments/x", "database/creds/payments-ro")
    near = ("pki/issue/web2", "pki/issue/web/x", "pki/issue/Web", f"pki/issue/w{LETTER}b", "auth/token/create")

    make(vault_secrets=[VaultSecret("pki/issue/web", **written)])
    for path in (*read, *near):
        with pytest.raises(PolicyError, match=path):
            make(vault_secrets=[VaultSecret(path, **written)])
    with pytest.raises(PolicyError, match="pki/issue/web"):
        make(vault_secrets=[VaultSecret("pki/issue/web", engine="dynamic", env={"A": "a"})])


HOSTILE = [
    "$(id)",
    "a'b",
    'a"b',
    "a`b",
    "a\\b",
    "${PATH}",
    "{ x }",
    "%2e%2e",
    "-rf",
    "*",
    "😀",
    "a=b",
    "a,b",
    LONG,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:10])
def test_what_is_odd_and_allowed_stays_text_in_the_agents_configuration(
    text: str, created: Created, templates_dir: Path
) -> None:
    team = templates_dir / "payments/team.yaml"
    team.write_text(f"{team.read_text()}update: [pki/issue/web]\n")
    is_name = text.isascii() and " " not in text and text != LONG
    directory = f"/home/{text if is_name else 'app'}"
    requested = VaultSecret(
        "pki/issue/web",
        engine="dynamic",
        parameters={"common_name": text, "lines": f"{text}\n{text}"},
        files=[VaultFile("f", key=text, directory=directory)],
    )

    manifest = created(make(vault_secrets=[requested], delivery="agent"))

    (template,) = _agent_config(manifest)["template"]
    odd = set(template["contents"]) - set("{}\"':=$|%.,()_\\-/ \n")
    assert all(character.isalnum() and character.isascii() for character in odd)
    assert text not in template["contents"] or text in ("-rf", LONG)
    base = next(container for container in manifest["spec"]["containers"] if container["name"] == "base")
    (mount,) = (mount for mount in base["volumeMounts"] if mount["name"].startswith("vault-files"))
    assert {"name": "vault-files-0", "mountPath": directory, "readOnly": True} == mount


def test_a_directory_over_another_mount_is_refused(templates_dir: Path) -> None:
    template = templates_dir / "payments/etl.yaml.j2"
    base = (templates_dir / "base.yaml.j2").read_text()
    mounted = base.replace(
        "      resources:", "      volumeMounts: [{name: data, mountPath: /srv/data/in}]\n      resources:", 1
    ).replace("  containers:\n", "  volumes: [{name: data, emptyDir: {}}]\n  containers:\n", 1)
    template.write_text(mounted)
    shutil.copy(templates_dir / "base.vars.yaml", templates_dir / "payments/etl.vars.yaml")

    for directory in ("/srv/data", "/srv/data/in", "/srv/data/in/deep"):
        with pytest.raises(K8sVaultError, match=f"mounts a volume of its own over {directory}"):
            make(vault_secrets=[VaultSecret("secret/payments/x", file="f", directory=directory)])
    make(vault_secrets=[VaultSecret("secret/payments/x", file="f", directory="/srv/data/input")])


def test_directories_of_two_secrets_do_not_hide_each_other() -> None:
    secrets = [VaultSecret("secret/payments/x", file="f", directory=d) for d in ("/home/a", "/home/a/b")]

    with pytest.raises(K8sVaultError, match="go to both '/home/a' and '/home/a/b', one in the other"):
        make(vault_secrets=secrets)


def test_neither_file_nor_secret_can_be_subclassed_or_changed_after_the_check(created: Created) -> None:
    with pytest.raises(TypeError, match="no subclasses"):
        type("Trojan", (VaultFile,), {"errors": lambda self: []})
    file = VaultFile("f", key="a")
    task = make(vault_secrets=[VaultSecret("secret/payments/x", files=[file])], delivery="agent")
    object.__setattr__(file, "directory", "/etc")
    object.__setattr__(file, "mode", "0777")

    manifest = created(task)

    assert "/etc" not in str(manifest["spec"]["containers"])
    assert "0777" not in str(manifest["spec"])
