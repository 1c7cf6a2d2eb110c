"""Breaks what the service stands on and looks whether it keeps its promises; scripts/chaos runs it."""
