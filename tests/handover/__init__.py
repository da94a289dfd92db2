"""Delivery `secret` against a real Vault."""
