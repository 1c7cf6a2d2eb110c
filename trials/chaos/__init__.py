"""Breaks what the service depends on, and checks the guarantees of docs/reliability.md."""
