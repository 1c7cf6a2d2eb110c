"""Measures the service beside its yardsticks; scripts/bench runs it with the servers it needs."""
