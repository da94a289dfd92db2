"""The servers that the rest of the tests stand on."""

from __future__ import annotations

import psycopg2
import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.postgres import PostgreSQL


def test_openbao_keeps_what_is_written_to_it(openbao: OpenBao, kv_mount: str) -> None:
    openbao.request("POST", f"{kv_mount}/data/team/thing", {"data": {"colour": "blue"}})

    found = openbao.request("GET", f"{kv_mount}/data/team/thing")

    assert found["data"]["data"] == {"colour": "blue"}


def test_postgresql_asks_for_its_password(postgres: PostgreSQL) -> None:
    with psycopg2.connect(postgres.uri()) as connection, connection.cursor() as cursor:
        cursor.execute("select current_user")
        assert cursor.fetchone() == ("postgres",)

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres.uri().replace(postgres.password, "wrong"))
