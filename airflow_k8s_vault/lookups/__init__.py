"""Where Airflow's names are in Vault, and what a secret there has to hold: pure rules, shared by whoever looks up.

`settings` is what [secrets] backend_kwargs says of it, `places` goes from id and team to paths, `shapes` from a
secret to a connection or a variable, `located` does all of this for the secrets of a task.
"""
