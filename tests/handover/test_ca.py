"""The CA of Vault's certificate, which a worker has as text."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.handover.handover import settings_of
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import Session


def test_a_session_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = OpenBao(tmp_path / "openbao", tls_dir=tmp_path / "tls")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert server.cacert is not None
    login = VaultLogin(server.address, "payments", cacert=server.cacert.read_text())
    try:
        Session(settings_of(login), SecretValue(server.root_token)).read("sys/mounts", once=False)
    finally:
        server.stop()

    assert [] == list(temporary.iterdir())
