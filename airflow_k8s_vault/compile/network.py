"""Whom the pods of a team may talk to: nobody comes in, and out goes what the team's file lists, DNS and Vault."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.teams import Peer

# Kubernetes' own DNS, and NodeLocal DNSCache at its usual address.
_DNS = [
    {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    },
    {"ipBlock": {"cidr": "169.254.20.10/32"}},
]
_DNS_PORTS = [{"port": 53, "protocol": protocol} for protocol in ("TCP", "UDP")]
_PORTS = {"http": 80, "https": 443}


def policy(source: Source) -> dict[str, Any]:
    """Return the spec of the NetworkPolicy; the team's file has `egress`."""
    egress = [{"to": _DNS, "ports": _DNS_PORTS}, {"to": vault_peers(source), "ports": [_vault_port(source)]}]
    for peer in source.team.walls.egress or ():
        ports = {"ports": [{"port": port, "protocol": "TCP"} for port in peer.ports]} if peer.ports else {}
        egress.append({"to": [_peer(peer)], **ports})
    return {"podSelector": {}, "policyTypes": ["Egress", "Ingress"], "ingress": [], "egress": egress}


def mistakes(source: Source) -> Iterator[str]:
    """Yield what is wrong with `egress`, each with file and line."""
    team = source.team
    for index, peer in enumerate(team.walls.egress or ()):
        if (peer.cidr is None) == (peer.namespace is None):
            yield f"{team.where(f'egress[{index}]')}: egress[{index}] names either a cidr or a namespace."
    if team.walls.egress is not None and not vault_peers(source):
        host = urlsplit(source.login.address).hostname
        yield (
            f"{team.where('egress')}: egress is limited, and [k8s_vault] vault_addr names '{host}', which is no "
            "address and no service of the cluster: set vault_cidrs in platform.yaml."
        )


def vault_peers(source: Source) -> list[dict[str, Any]]:
    """Return where Vault is: its namespace, where the address is a service's, or its addresses."""
    if source.team.platform.vault_cidrs:
        return [{"ipBlock": {"cidr": cidr}} for cidr in source.team.platform.vault_cidrs]
    host = urlsplit(source.login.address).hostname or ""
    parts = host.split(".")
    if len(parts) >= 3 and parts[2] == "svc":
        return [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": parts[1]}}}]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return []
    return [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}]


def _vault_port(source: Source) -> dict[str, Any]:
    address = urlsplit(source.login.address)
    return {"port": address.port or _PORTS[address.scheme], "protocol": "TCP"}


def _peer(peer: Peer) -> dict[str, Any]:
    if peer.cidr is not None:
        return {"ipBlock": {"cidr": peer.cidr}}
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": peer.namespace}}}
