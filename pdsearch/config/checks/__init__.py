"""Checks of a whole space, beyond those of single fields."""
