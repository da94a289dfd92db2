"""Print a token of a cloud's cluster for a kubeconfig, by the cloud's Python library.

For images that have no `aws`, `gke-gcloud-auth-plugin` or `kubelogin`: Airflow's own has none of them, and has the
libraries. Each finds its credentials as it always does: workload identity, environment, instance.

    python cluster_token.py eks NAME REGION
    python cluster_token.py gke
    python cluster_token.py aks
"""

import base64
import datetime
import json
import sys

# The application of all AKS clusters with Entra ID.
AKS = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"


def eks(name: str, region: str) -> tuple[str, datetime.datetime]:
    """Return a request to STS that this account has signed: EKS sends it, and learns who that is."""
    import boto3
    from botocore.model import ServiceId
    from botocore.signers import RequestSigner

    session = boto3.Session(region_name=region)
    signer = RequestSigner(ServiceId("sts"), region, "sts", "v4", session.get_credentials(), session.events)
    url = f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
    request = {"method": "GET", "url": url, "body": {}, "headers": {"x-k8s-aws-id": name}, "context": {}}
    signed = signer.generate_presigned_url(request, region_name=region, expires_in=60, operation_name="")
    token = "k8s-aws-v1." + base64.urlsafe_b64encode(signed.encode()).decode().rstrip("=")
    # EKS takes it for 15 minutes.
    return token, datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=14)


def gke() -> tuple[str, datetime.datetime]:
    """Return an access token of the service account; Google's library gives its end as UTC without saying so."""
    import google.auth
    from google.auth.transport.requests import Request

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    credentials.refresh(Request())
    return credentials.token, credentials.expiry.replace(tzinfo=datetime.UTC)


def aks() -> tuple[str, datetime.datetime]:
    """Return an access token for AKS of the identity that Azure's library finds."""
    from azure.identity import DefaultAzureCredential

    token = DefaultAzureCredential().get_token(AKS)
    return token.token, datetime.datetime.fromtimestamp(token.expires_on, datetime.UTC)


if __name__ == "__main__":
    token, ends = {"eks": eks, "gke": gke, "aks": aks}[sys.argv[1]](*sys.argv[2:])
    status = {"token": token, "expirationTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
    kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    print(json.dumps({**kind, "status": status}))
