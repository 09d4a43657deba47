"""Data sets in memory or on disk: splits, views, statistics."""
