"""Secrets that somebody knows to be some, in a pod's manifest: known by what masks them in logs; never shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from airflow_k8s_vault.policy.manifest import MERGE_KEYS, FieldPath, flatten, shown_path
from airflow_k8s_vault.policy.secret_names import looks_random
from airflow_k8s_vault.policy.token_shapes import encoded_bytes

# Below these a key is a name that the DAG or the template chose, and no field of Kubernetes.
_NAMED = ("labels", "annotations", "nodeSelector", "limits", "requests", "matchLabels")


def known_secret_errors(
    pod: Mapping[str, Any],
    secrets_in: Callable[[str], Iterable[str]],
    *,
    harmless: str,
    written: str,
    left_out: Collection[FieldPath] = (),
) -> Iterator[str]:
    """Yield a sentence, without the value, for each field that holds a known secret, or is called so.

    secrets_in: returns the known secrets that stand in a text; base64, hexadecimal digits, URLs and JSON are read
    as well. A password may be a word that stands there for another reason: one that is in `harmless`, text of the
    platform's, is none; one that is in `written`, what the DAG's file says itself, only if it looks made by a
    generator. left_out: paths that are not looked at, with all below them.
    """

    def holds_one(text: str) -> bool:
        secrets = {s for reading in _readings(text) for s in secrets_in(reading)}
        return any(s not in harmless and (s not in written or looks_random(s)) for s in secrets)

    reported = set[str]()
    for path, value in flatten(pod).items():
        if any(path[:end] in left_out for end in range(1, len(path) + 1)):
            continue
        # What is called so is shown by where it stands: its own name would tell.
        named = next((end for end in range(1, len(path)) if _is_name(path, end) and holds_one(path[end])), None)
        if named is not None or any(map(holds_one, _texts(value))):
            field = shown_path(path if named is None else path[:named])
            if field not in reported:
                reported.add(field)
                yield f"{field} holds a secret of Airflow's (not shown)"


def _is_name(path: FieldPath, at: int) -> bool:
    return path[at - 1] in _NAMED or path[at - 1] in MERGE_KEYS


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        # Within a list, whose entries are compared whole.
        for key, item in value.items():
            yield from _texts(item)
            yield from map(str, item) if key in _NAMED else ()
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _readings(text: str) -> Iterator[str]:
    """Yield the text, and what it is once it is decoded."""
    yield text
    if "%" in text:
        yield unquote(text)
    if "\\" in text:
        try:
            yield str(json.loads(f'"{text}"'))
        except ValueError:
            yield text.replace("\\", "")
    yield from (part.decode(errors="ignore") for part in encoded_bytes(text))
