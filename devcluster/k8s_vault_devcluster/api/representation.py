"""How objects are shown: as they are, or as the table that kubectl prints.

Needed by `kubectl get`.
"""

from __future__ import annotations

from k8s_vault_devcluster.api.context import RequestInfo
from k8s_vault_devcluster.api.status import ApiError
from k8s_vault_devcluster.api.tables import table
from k8s_vault_devcluster.store import Object, Objects

_PLAIN = ("", "*/*", "application/*", "application/json")


class Representation:
    """What the Accept header asks for; raises ApiError 406 where it is nothing that is served."""

    def __init__(self, requested: RequestInfo, accept: str) -> None:
        self.resource = requested.target
        self.as_table = self._wants_table(accept)

    @staticmethod
    def _wants_table(accept: str) -> bool:
        for expected in accept.split(","):
            kind, *parameters = [part.strip() for part in expected.split(";")]
            settings = dict(part.partition("=")[::2] for part in parameters)
            if kind in _PLAIN and "as" not in settings:
                return False
            if kind == "application/json" and (settings["as"], settings.get("v")) == ("Table", "v1"):
                return True
        message = "only the following media types are accepted: application/json, application/json;as=Table;v=v1"
        raise ApiError(406, "NotAcceptable", f"{message};g=meta.k8s.io")

    def of_one(self, obj: Object) -> Object:
        version = obj["metadata"].get("resourceVersion", "")
        return table(self.resource.plural, [obj], version) if self.as_table else obj

    def of_list(self, objects: Objects, version: int) -> Object:
        if self.as_table:
            return table(self.resource.plural, objects, str(version))
        # Kubernetes leaves kind and apiVersion out of a list's items.
        items = [{key: obj[key] for key in obj if key not in ("kind", "apiVersion")} for obj in objects]
        head = {"kind": f"{self.resource.kind}List", "apiVersion": self.resource.api_version}
        return {**head, "metadata": {"resourceVersion": str(version)}, "items": items}
