"""`make demo`: the whole path on real parts, from a DAG to rows in PostgreSQL, and a look for what leaked."""
