"""A stand-in for production on one machine: OpenBao, PostgreSQL and a small Kubernetes, without root or Docker.

For the demo, the tests and a DAG author's laptop; never for production.
"""
