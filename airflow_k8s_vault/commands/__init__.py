"""What `airflow k8s-vault …` does; the modules `cli` and `cli_templates` define the commands."""
