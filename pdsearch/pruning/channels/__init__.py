"""Structured pruning: coupled channels (ties), their selection and their removal."""
