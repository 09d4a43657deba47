"""Checks of a whole space that no single field can make."""
