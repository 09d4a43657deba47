"""Which further parameters was a data source given, and does it know them?"""

from typing import Any

from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec

__all__ = ["source_options"]


def source_options(spec: DataSpec, *known: str) -> dict[str, Any]:
    """Return the options of a spec by name.

    Raises:
        ConfigError: The source does not know one of them.
    """
    options = dict(spec.options)
    for name in options:
        if name not in known:
            hint = f"its options: {', '.join(known) or 'none'}"
            raise ConfigError(
                f"source {spec.source!r} has no option {name!r}", where=f"data.{name}", hint=hint
            )
    return options
