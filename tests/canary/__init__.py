"""Secret values are looked for wherever Airflow, Kubernetes, another container or the machine could show them."""
