"""Functions that torch marks for its compiler at their first call, marked without loading the compiler."""

from collections.abc import Callable
from typing import Any

__all__ = ["leave_alone"]


def leave_alone(*functions: Callable[..., Any]) -> None:
    """Mark functions of torch's own as those that torch.compile is not to look into, as torch does when first called.

    For that, torch loads the whole compiler: a second and 150 MB in every process, and nothing here is compiled. A
    torch that marks them in another way loads it as before, and computes the same.

    Args:
        functions: What torch decorated for it; what it did not stays as it is.
    """
    for function in functions:
        inner = getattr(function, "__wrapped__", None)
        if inner is not None:
            vars(inner).setdefault("__dynamo_disable", inner)
