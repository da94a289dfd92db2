"""`python -m tests.starters.gke ENDPOINT CA CERTIFICATE KEY`: GKE's API, of one cluster; prints its port."""

from __future__ import annotations

import base64
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.cloud.container_v1 import types


def main(endpoint: str, ca: str, certificate: str, key: str) -> None:
    def get_cluster(request: Any, context: grpc.ServicerContext) -> types.Cluster:
        if not request.name.endswith("/clusters/prod"):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: {request.name}")
        authority = {"cluster_ca_certificate": base64.b64encode(Path(ca).read_bytes()).decode()}
        return types.Cluster(
            name="prod", endpoint=endpoint.removeprefix("https://"), master_auth=types.MasterAuth(**authority)
        )

    method = grpc.unary_unary_rpc_method_handler(
        get_cluster, types.GetClusterRequest.deserialize, types.Cluster.serialize
    )
    server = grpc.server(futures.ThreadPoolExecutor(2))
    service = "google.container.v1.ClusterManager"
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"GetCluster": method})])
    pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
