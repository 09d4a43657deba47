"""What is an artifact's name? The hash of all that affects its content, upstream artifacts included."""

from collections.abc import Mapping

from pdsearch.specs import Json, digest

__all__ = ["stage_key"]


def stage_key(stage: str, version: int, *, fields: Json, upstream: Mapping[str, str]) -> str:
    """Return the key of a stage's result, 64 hex digits.

    Args:
        stage: Name of the stage, e.g. "teacher".
        version: Of the stage's code; raised when the same fields would give another result.
        fields: What affects the result, usually `keyed(spec)` of the specs the stage reads.
        upstream: Keys of the artifacts the stage reads, by role, e.g. {"dense": key}.

    Raises:
        TypeError: A field has no canonical form.
        ValueError: A number is not finite.
    """
    return digest({"stage": stage, "version": version, "fields": fields, "upstream": dict(upstream)})
