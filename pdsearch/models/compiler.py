"""Marks that keep torch from importing its compiler, which nothing here uses."""

from collections.abc import Callable


def leave_alone(*functions: Callable[..., object]) -> None:
    """Mark functions of torch as skipped by torch.compile, as torch itself does at their first call.

    To do so torch imports the whole compiler: a second and 150 MB in every process, although nothing here is compiled.
    A version of torch that marks them in another way imports it as before, with the same results.

    Args:
        functions: Functions that torch decorated for this; others are left unchanged.
    """
    for function in functions:
        inner = getattr(function, "__wrapped__", None)
        if inner is not None:
            vars(inner).setdefault("__dynamo_disable", inner)
