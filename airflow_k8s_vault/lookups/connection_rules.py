"""What makes a connection malformed: rules that the worker and the agent's templates check alike.

Sources: from_uri, from_json and _validate_extra of Airflow's Connection, and urlsplit of Python's urllib.parse,
which they read a URI with. Some of what is refused here Airflow would take, and lose a part of it without a word.
Each pattern means the same to Python's re and to Go's regexp. A sentence names the field, never its value.
"""

from __future__ import annotations

import re
from typing import Any

from airflow_k8s_vault import json_text


class ConnectionRules:
    """The fields and patterns, and the sentence of each, in which %s stands for the field's name."""

    # What Connection.from_json takes; `uri` stands alone there.
    TEXT_FIELDS = ("conn_type", "description", "host", "login", "password", "schema")
    FIELDS = (*TEXT_FIELDS, "port", "extra", "uri")
    NO_TEXT = "%s is no text: put it in quotes"
    NO_EXTRA = "extra is no JSON object, nor the text of one"
    NO_PORT = "port is no whole number"
    URI_NOT_ALONE = "uri stands beside other fields, and has to be alone"
    PORT_TEXT, PORT_NUMBER = "^ *([0-9]+ *)?$", r"^[0-9]+(\.0+)?$"

    ENCODE = "percent-encode what it holds of : / ? # [ ] @ in login, password, schema and extra"
    # Of the whole URI: what it must not match, and what is wrong then.
    URI_MUST_NOT = (
        (r"[\x00-\x1f\x7f]", "%s holds a control character, which Airflow drops: percent-encode it"),
        ("#", f"%s holds '#', after which Airflow reads nothing: {ENCODE}"),
        ("://.*://.*://", f"%s has '://' more than twice, so nobody knows its host: {ENCODE}"),
        (
            r"^[^:/]*://[A-Za-z0-9+.-]*([^A-Za-z0-9+.:-]|:[^/]|:/[^/]).*://",
            f"%s has a second '://' after its host: {ENCODE}",
        ),
    )
    URI_MUST = ((r"^([A-Za-z][A-Za-z0-9+._-]*:)?//", "%s does not begin with a connection type and '://'"),)
    # What some character of the authority becomes one of / ? # @ : by, once it is normalised; urlsplit refuses it.
    LOOK_ALIKES = "[℀℁℅℆⁇⁈⁉⩴︓︖﹕﹖﹟﹫＃／：？＠]"
    # Of the part between the (last) :// and the next / or ?.
    AUTHORITY_MUST_NOT = ((LOOK_ALIKES, f"%s's host holds a look-alike of : / ? # @: {ENCODE}"),)
    NUMBER = "[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
    AUTHORITY_MUST = (
        (
            rf"^([^\[\]]*@)?(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]*)(:({NUMBER})?)?$",
            f"%s's port is no number up to 65535, or its host is none: {ENCODE}",
        ),
    )


_RULES = ConnectionRules


def errors(data: dict[str, Any]) -> list[str]:
    """Return a sentence, without the value, for each field that is not as Airflow reads it.

    >>> errors({"conn_type": "http", "port": "eighty", "password": 1234})
    ['password is no text: put it in quotes', 'port is no whole number']
    """
    messages = [_RULES.NO_TEXT % name for name in _RULES.TEXT_FIELDS if not isinstance(data.get(name), str | None)]
    if not _is_port(data.get("port")):
        messages.append(_RULES.NO_PORT)
    if not _is_extra(data.get("extra")):
        messages.append(_RULES.NO_EXTRA)
    if "uri" in data:
        messages += [_RULES.URI_NOT_ALONE] if len(data) > 1 else uri_errors(data["uri"], "uri")
    return messages


def uri_errors(uri: object, name: str) -> list[str]:
    """Return a sentence for each part of a URI that Airflow would misread. name: the field that holds it.

    >>> [error.partition(":")[0] for error in uri_errors("postgres://etl:it/s@db/sales", "conn_uri")]
    ["conn_uri's port is no number up to 65535, or its host is none"]
    """
    if not isinstance(uri, str):
        return [_RULES.NO_TEXT % name]
    errors = [sentence % name for pattern, sentence in _RULES.URI_MUST if not re.search(pattern, uri)]
    errors += [sentence % name for pattern, sentence in _RULES.URI_MUST_NOT if re.search(pattern, uri)]
    authority = re.split("[/?#]", uri.rpartition("://")[2])[0]
    errors += [sentence % name for pattern, sentence in _RULES.AUTHORITY_MUST_NOT if re.search(pattern, authority)]
    return errors + [
        sentence % name for pattern, sentence in _RULES.AUTHORITY_MUST if not re.search(pattern, authority)
    ]


def _is_port(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    pattern = _RULES.PORT_TEXT if isinstance(value, str) else _RULES.PORT_NUMBER
    return value is None or re.fullmatch(pattern, str(value)) is not None


def _is_extra(value: Any) -> bool:
    if not isinstance(value, str):
        return value is None or isinstance(value, dict)
    try:
        return not value or isinstance(json_text.read(value, parse_constant=_refused), dict)
    except ValueError:
        return False


def _refused(name: str) -> None:
    raise ValueError(name)
