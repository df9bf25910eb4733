"""Variants of a model, trained alike under several seeds and compared."""
