"""What a mask keeps, counted."""

from pdsearch.pruning import Mask


def kept_in(mask: Mask) -> dict[str, int]:
    """Return the number of weights kept in each parameter."""
    return {name: int(mask[name].sum()) for name in mask}
