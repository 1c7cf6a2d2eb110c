"""Measures the service beside its yardsticks; docs/performance.md explains the figures."""
