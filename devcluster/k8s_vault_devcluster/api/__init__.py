"""The API server of the devcluster: what kube-apiserver is to Kubernetes, for the resources that pods need.

A request goes: app (routes) -> authentication -> rbac -> verbs -> decode -> admission -> strategies -> store.
It answers as Kubernetes does for what it supports, and refuses the rest by the field's name.
"""
