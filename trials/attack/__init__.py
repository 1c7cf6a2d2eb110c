"""Attacks a running service over the network, and checks that honest clients do not notice."""
