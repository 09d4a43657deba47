"""Which code of the user's own does a space name, and what is it known by?"""

from pdsearch.dotted import is_dotted, source_hash
from pdsearch.space import Space

__all__ = ["own_code"]

FIELDS = ("teacher.model", "student.model", "prune.method", "distill.loss")


def own_code(space: Space) -> dict[str, str]:
    """Return the hash of the source file of every model, method and loss that a space names by dotted path.

    Raises:
        ConfigError: One cannot be imported.
    """
    named = [str(value) for name, value in space.fixed if name in FIELDS]
    named += [str(choice) for p in space.parameters if p.name in FIELDS for choice in p.choices]
    return {name: source_hash(name) for name in sorted(set(named)) if is_dotted(name)}
