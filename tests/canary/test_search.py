"""The search itself: a value is found in every form that a mistake could give it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest
from k8s_vault_devcluster.demo import isolation

from tests.faults.fault_environment import ROOT

VALUE = 'canary "of" the?search/ü'
FORMS = {
    "as it is": f"password: {VALUE}",
    "JSON": json.dumps({"password": VALUE}),
    "Python": repr({"password": VALUE}),
    "URL": f"https://vault/?password={quote(VALUE)}",
    "URL with slashes escaped": quote(VALUE, safe=""),
    "form": urlencode({"password": VALUE}),
    "plus for spaces": quote_plus(VALUE),
    "hexadecimal": VALUE.encode().hex(),
    "HEXADECIMAL": VALUE.encode().hex().upper(),
    "base64 for URLs": base64.urlsafe_b64encode(f"user:{VALUE}".encode()).decode(),
    **{f"base64 after {n} bytes": base64.b64encode(b"x" * n + VALUE.encode() + b"}").decode() for n in range(6)},
}
# What was in play: the canary, a token of OpenBao or Vault, a service-account token.
CREDENTIAL = re.compile(r"canary-[0-9a-f]{24}|\b(hv)?s\.[A-Za-z0-9]{20,}|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("form", FORMS)
def test_a_value_is_found_in_every_form(form: str) -> None:
    assert isolation.found_in({"here": FORMS[form], "there": "nothing"}, [VALUE]) == ["here"]


def test_another_value_is_not_found() -> None:
    assert isolation.found_in(FORMS, ["canary of another search"]) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_shows_what_looks_like_a_credential_of_an_earlier_run(document: Path) -> None:
    match = CREDENTIAL.search(document.read_text())

    assert match is None


def test_such_a_credential_would_be_seen() -> None:
    token, account = "s.4Rnd0mT0kenOfOpenBaoXyz1", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"

    assert all(CREDENTIAL.search(f"TOKEN={text}\n") for text in (token, account, f"canary-{24 * 'a'}"))
