"""One request to Vault, tried again while it makes sense and there is time."""

from __future__ import annotations

import logging
import random
import re
import ssl
import time
from json import JSONDecodeError, dumps
from typing import Any

from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

from airflow_k8s_vault import json_text
from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault.deadline import Deadline
from airflow_k8s_vault.vault.rejected import Rejected
from airflow_k8s_vault.vault.settings import Settings
from airflow_k8s_vault.vault.transport import Answer, Transport

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 2.0
# 412: a replica that has not caught up; 429: rate limit; 5xx: sealed (503), or a proxy without Vault behind it.
# https://developer.hashicorp.com/vault/api-docs#http-status-codes
RETRIED = (412, 429, 472, 473)
# With these Vault says that it has done nothing; another 5xx may be a proxy's, which lost the answer.
NOT_DONE = (*RETRIED, 503)
_REFUSED = "connection refused"


class Requests:
    """Sends requests within one deadline; its errors hold no header, body or token.

    Made for one look-up, of one thread; the transport, with its connections, is shared. `get`, `post` and `login`
    are those of an hvac adapter, so that hvac's login functions can send through it.
    """

    def __init__(
        self, settings: Settings, transport: Transport, deadline: Deadline, token: SecretValue[str] | None = None
    ) -> None:
        self._settings, self._transport, self._deadline, self._token = settings, transport, deadline, token
        self._retry = deadline.retries and settings.retry_delay_seconds > 0

    # `once`: never sent again where the first may have been done and its answer lost. A second login, or a second
    # read of a dynamic secret, would make a credential that nobody holds.

    def get(self, path: str, once: bool = False) -> dict[str, Any]:
        return self._request("GET", path, None, once)

    def post(self, path: str, json: dict[str, Any] | None = None, once: bool = False) -> dict[str, Any]:
        body = SecretValue(dumps(json).encode()) if json is not None else None
        return self._request("POST", path, body, once)

    def login(self, url: str, use_token: bool = False, json: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.post(url, json)

    def _request(self, method: str, path: str, body: SecretValue[bytes] | None, once: bool) -> dict[str, Any]:
        """Send, and again while Vault cannot answer. Returns the JSON body, {} where there is none.

        Raises Rejected for a 4xx answer, VaultUnavailable when the deadline passes without an answer, and
        VaultRefused where the server's certificate is not trusted.
        """
        tries = 0
        while True:
            tries += 1
            outcome = self._try(method, path, body)
            if not isinstance(outcome, _Failure):
                return outcome
            wait = max(self._wait_seconds(tries), outcome.wait_seconds)
            if (once and outcome.perhaps_done) or not self._retry or wait >= self._deadline.remaining_seconds():
                break
            log.debug("Vault at %s: %s. Next try in %.2f s.", self._settings.url, outcome.message, wait)
            time.sleep(wait)
        again = f" {tries} times" if tries > 1 else ""
        # Raised here, not where it was caught: the library's frames hold tokens in their variables.
        unavailable = VaultUnavailable(f"Vault at {self._settings.url} did not answer{again}: {outcome.message}.")
        unavailable.status = outcome.status
        raise unavailable

    def _wait_seconds(self, tries: int) -> float:
        """Full jitter, so that a thousand tasks that failed together do not come back together."""
        longest = min(LONGEST_WAIT_SECONDS, 2 * self._settings.retry_delay_seconds * 2 ** (tries - 1))
        return random.uniform(longest / 10, longest)  # noqa: S311 - jitter, not a secret

    def _try(self, method: str, path: str, body: SecretValue[bytes] | None) -> dict[str, Any] | _Failure:
        timeout = self._deadline.at_most(self._settings.timeout)
        content = body.reveal() if body is not None else None
        try:
            return self._judged(self._transport.send(method, path, self._headers(), content, timeout))
        except (HTTPError, OSError) as problem:
            refused = self._distrust(problem)
            message = _plain_message(problem)
            failure = _Failure(message, perhaps_done=message != _REFUSED)
        except VaultRefused as problem:
            refused = str(problem)
        finally:
            del content
        if refused:
            # Outside of `except`: the frames of the transport hold the headers.
            raise VaultRefused(refused)
        return failure

    def _distrust(self, problem: Exception) -> str:
        """Return what to say where it is the certificate that failed, else ""."""
        matches = [part for part in _chain(problem) if isinstance(part, ssl.SSLCertVerificationError)]
        if not matches:
            return ""
        return (
            f"The certificate of Vault at {self._settings.url} is not trusted: {matches[0].verify_message}.\n"
            "  Set verify, or VAULT_CACERT, to the PEM file of the CA that signed it."
        )

    def _headers(self) -> dict[str, str]:
        # An agent may ask for X-Vault-Request, which a forged request from a browser cannot have.
        headers = {"X-Vault-Request": "true", "Content-Type": "application/json"}
        if self._token is not None:
            headers["X-Vault-Token"] = self._token.reveal()
        if self._settings.namespace:
            headers["X-Vault-Namespace"] = self._settings.namespace
        return headers

    def _judged(self, answer: Answer) -> dict[str, Any] | _Failure:
        body = self._json_of(answer)
        message = _message(answer, body)
        if answer.status >= 500 or answer.status in RETRIED:
            message = f"{answer.status} {message}".strip()
            return _Failure(message, _retry_after_seconds(answer), answer.status not in NOT_DONE, answer.status)
        if answer.status == 404 and not (body and {"errors", "data"} & body.keys()):
            # Another server, or a proxy that does not know the path: this does not say what Vault has.
            return _Failure("404, but not in Vault's words: is this really its address?")
        if answer.status >= 400:
            hint = [*((body or {}).get("errors") or []), *((body or {}).get("warnings") or []), *_gone(body or {})]
            raise Rejected(answer.status, message, " ".join(map(str, hint)))
        if body is None or answer.status >= 300:
            return _Failure(f"{answer.status} with a body that is no JSON: is this really Vault's address?")
        return body

    def _json_of(self, answer: Answer) -> dict[str, Any] | None:
        """Return the body, {} where it is empty, None where it is no JSON object.

        Raises VaultRefused where it is JSON beyond what Python reads: Vault is there, trying again cannot help.
        """
        if not answer.body:
            return {}
        try:
            body = json_text.loads(answer.body)
        except (JSONDecodeError, UnicodeDecodeError):
            return None
        except ValueError as error:
            why = "it is nested too deeply" if "deep" in str(error) else "a number has too many digits"
        else:
            return body if isinstance(body, dict) else None
        # Outside of `except`: the frames of the parser hold the text.
        raise VaultRefused(f"Vault at {self._settings.url} answered what cannot be read: {why}. Write it as text.")


class _Failure:
    """A try that may be repeated. perhaps_done: Vault may have done it, and only the answer is missing."""

    def __init__(
        self, message: str, wait_seconds: float = 0, perhaps_done: bool = True, status: int | None = None
    ) -> None:
        self.message = message
        self.status = status
        self.wait_seconds = wait_seconds
        self.perhaps_done = perhaps_done


def _message(answer: Answer, body: dict[str, Any] | None) -> str:
    """Vault's own words. Of an answer that is not Vault's only the status: a proxy may echo the request."""
    errors = body.get("errors") if body else None
    if isinstance(errors, list) and errors:
        message = " ".join(" ".join(str(error) for error in errors).split())
        return re.sub(r"\b[0-9]+ errors? occurred: \* ", "", message)[:300]
    return answer.reason


def _gone(body: dict[str, Any]) -> list[str]:
    """Say what became of a version of a KV 2 secret that is there no more."""
    about = (body.get("data") or {}).get("metadata")
    if not isinstance(about, dict) or "version" not in about:
        return []
    if about.get("destroyed"):
        return [f"version {about['version']} was destroyed"]
    return [f"version {about['version']} was deleted"] if about.get("deletion_time") else []


def _retry_after_seconds(answer: Answer) -> float:
    return float(answer.retry_after) if answer.retry_after.isascii() and answer.retry_after.isdigit() else 0


def _plain_message(problem: Exception) -> str:
    """Say what happened in a few words; the libraries' own texts are long and name their objects."""
    parts = _chain(problem)
    # In this order: urllib3 calls a refused connection a kind of timeout.
    kinds = {
        ConnectionRefusedError: _REFUSED,
        ConnectionResetError: "connection reset",
        FileNotFoundError: "no such socket",
        Urllib3Timeout: "no answer in time",
        TimeoutError: "no answer in time",
    }
    for kind, message in kinds.items():
        if any(isinstance(part, kind) for part in parts):
            return message
    systems = [part.strerror for part in parts if isinstance(part, OSError) and part.strerror]
    return systems[0].lower() if systems else "the connection broke"


def _chain(problem: BaseException) -> list[BaseException]:
    """The exception and everything that it wraps, by cause, context or argument, outermost first."""
    matches: list[BaseException] = []
    left: list[Any] = [problem]
    while left:
        part = left.pop(0)
        if isinstance(part, BaseException) and part not in matches:
            matches.append(part)
            left += [getattr(part, "reason", None), *part.args, part.__cause__, part.__context__]
    return matches
