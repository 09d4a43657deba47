"""Checks and decisions before a study begins: networks, precision, resources."""
