"""Clusters of cloud providers, with the clouds' own classes and programs: `make starters`.

The clouds are played at the network: their names lead, by a proxy, to a server of this machine that has
certificates for them. What asks them is real: Airflow's providers, `aws`, google-auth, azure-identity, gRPC.
"""
