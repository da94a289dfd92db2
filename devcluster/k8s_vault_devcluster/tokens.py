"""Service-account tokens: minted, published as a JWKS, and reviewed, with the claims that Kubernetes sets.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens

Needed by both deliveries' logins, and by the tests that a token ends with its pod.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from k8s_vault_devcluster.store import NotFound, Object, Store

# What the names in a token's private claims are names of.
_PLURALS = {"serviceaccount": "serviceaccounts", "pod": "pods"}
# Kubernetes lets a token live on this long after its pod's deletion time, for what the pod does at its end.
_LEEWAY_SECONDS = 60


class Tokens:
    """The token authority of one cluster; its key lives in memory and ends with the process.

    `issuer` is the API's address, so that OIDC discovery works from it; it is also the API's own audience.
    """

    def __init__(self, store: Store, issuer: str) -> None:
        self.store, self.issuer = store, issuer
        # How far the cluster's clock is ahead of this machine's: tests set it.
        self.ahead_seconds = 0
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._key_id = hashlib.sha256(public).hexdigest()[:43]

    def mint(
        self,
        namespace: str,
        service_account: str,
        audiences: list[str],
        expiration_seconds: int,
        bound: dict[str, str] | None = None,
    ) -> tuple[str, str]:
        """Return (JWT, expiry as RFC 3339); raise store.NotFound where there is no such service account.

        `bound` is a BoundObjectReference with the name and uid of a Pod, with which the token ends. No audiences:
        the API's own.
        """
        account = self.store.get("serviceaccounts", namespace, service_account)["metadata"]
        issued = self._now()
        expires = issued + expiration_seconds
        claims = {
            "aud": audiences or [self.issuer],
            "exp": expires,
            "iat": issued,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": service_account, "uid": account["uid"]},
                **(self._pod_claims(namespace, bound) if bound else {}),
            },
            "nbf": issued,
            "sub": f"system:serviceaccount:{namespace}:{service_account}",
        }
        return self._signed(claims), _rfc3339(expires)

    def time(self) -> str:
        """The time by the cluster's clock, as Kubernetes writes it."""
        return _rfc3339(self._now())

    def _now(self) -> int:
        return int(time.time()) + self.ahead_seconds

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})

    def _pod_claims(self, namespace: str, bound: dict[str, str]) -> dict[str, Any]:
        """A token minted while its pod is not scheduled names no node, as in Kubernetes."""
        claims = {"pod": {"name": bound["name"], "uid": bound["uid"]}}
        node = self.store.get("pods", namespace, bound["name"])["spec"].get("nodeName")
        if node:
            claims["node"] = {"name": node, "uid": self.store.get("nodes", "", node)["metadata"]["uid"]}
        return claims

    def review(self, token: str, audiences: list[str]) -> Object:
        """Return the `status` of a TokenReview. No audiences: the API's own."""
        expected = audiences or [self.issuer]
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                issuer=self.issuer,
                # Times are looked at below, by the cluster's own clock.
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return _refused("failed to validate token")
        if claims["exp"] <= self._now():
            return _refused("service account token has expired")
        if claims["nbf"] > self._now():
            return _refused("service account token is not valid yet")
        common = [audience for audience in expected if audience in claims["aud"]]
        if not common:
            result, requested = json.dumps(claims["aud"]), json.dumps(expected)
            return _refused(f"token audiences {result} is invalid for the target audiences {requested}")
        if not self._alive(claims["kubernetes.io"]):
            return _refused("service account token has been invalidated")
        return {"authenticated": True, "user": _user(claims), "audiences": common}

    def _alive(self, private: dict[str, Any]) -> bool:
        """Whether the account, and the pod where there is one, still carry the token."""
        for kind, plural in _PLURALS.items():
            if reference := private.get(kind):
                try:
                    meta = self.store.get(plural, private["namespace"], reference["name"])["metadata"]
                except NotFound:
                    return False
                if meta["uid"] != reference["uid"] or _long_deleted(meta):
                    return False
        return True

    def jwks(self) -> Object:
        """Return the public key as /openid/v1/jwks serves it."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        del key["key_ops"]
        return {"keys": [{"use": "sig", "kid": self._key_id, "alg": "RS256", **key}]}

    def openid_configuration(self) -> Object:
        """Return the document of /.well-known/openid-configuration."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }


def _long_deleted(meta: Object) -> bool:
    deleted = meta.get("deletionTimestamp")
    if not deleted:
        return False
    moment = datetime.datetime.fromisoformat(deleted.replace("Z", "+00:00"))
    return moment.timestamp() < time.time() - _LEEWAY_SECONDS


def _user(claims: dict[str, Any]) -> Object:
    private = claims["kubernetes.io"]
    extra = {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"]}
    for kind in ("node", "pod"):
        if kind in private:
            extra[f"authentication.kubernetes.io/{kind}-name"] = [private[kind]["name"]]
            extra[f"authentication.kubernetes.io/{kind}-uid"] = [private[kind]["uid"]]
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{private['namespace']}", "system:authenticated"]
    return {"username": claims["sub"], "uid": private["serviceaccount"]["uid"], "groups": groups, "extra": extra}


def _refused(why: str) -> Object:
    return {"user": {}, "error": f"[invalid bearer token, {why}]"}


def _rfc3339(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
