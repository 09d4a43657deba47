"""Structured pruning: dependent channels, their selection and their removal."""
