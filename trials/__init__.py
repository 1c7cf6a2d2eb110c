"""Trials of a running service: chaos, soak, attack, bench and timing. `scripts/try` runs them."""
