"""The claims of docs/security.md that no other test makes true."""
