"""pdsearch searches for the teacher a student learns best from: prune, distill, rank, export."""

__version__ = "0.1.0"

__all__ = ["__version__"]
