"""Attacks on a running service, as somebody on the network would make them."""
