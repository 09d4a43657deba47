"""Samplers, one a file: each proposes the next point to try."""
