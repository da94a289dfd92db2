"""What `airflow k8s-vault templates …` and `secrets …` do; airflow_k8s_vault.cli_templates defines them."""
