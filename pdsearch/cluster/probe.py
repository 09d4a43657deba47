"""Is every node fit for trials? Asked before the first one; a node that joins later is asked by its own workers."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pdsearch.cluster import examine as module
from pdsearch.cluster.examine import examine, versions_here
from pdsearch.errors import ConfigError, StorageError
from pdsearch.storage import Place, remove, replace

__all__ = ["check_nodes", "expected", "refusal_of"]

_ANSWER_WITHIN_S = 120.0
_MARKER = ".nodes.tmp"


@contextmanager
def expected(folder: Place, *, code: dict[str, str], files: list[str]) -> Iterator[dict[str, Any]]:
    """Mark the storage while the block runs, and give what a node must find: the mark, versions, code and files.

    Args:
        folder: The study's, in the storage.
        code: Hash of each piece of the user's own code, by dotted name.
        files: Paths that must exist on a node.

    Raises:
        StorageError: The mark cannot be written.
    """
    marker, token = folder / _MARKER, secrets.token_hex(16)
    replace(marker, token.encode())
    try:
        yield {
            "versions": versions_here(),
            "root": str(folder.parent),
            "marker": str(marker),
            "token": token,
            "code": code,
            "files": files,
        }
    finally:
        remove(marker)


def check_nodes(nodes: list[dict[str, Any]], asked: dict[str, Any]) -> None:
    """Have every node examine itself.

    Args:
        nodes: As Ray describes them.
        asked: Of `expected`.

    Raises:
        StorageError: A node does not see the driver's storage, cannot write there, or does not answer.
        ConfigError: A node has other versions, or lacks code or files.
    """
    import ray  # After the session has set Ray's environment.
    from ray.cloudpickle import register_pickle_by_value, unregister_pickle_by_value
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    register_pickle_by_value(module)
    try:
        task = ray.remote(num_cpus=0, max_retries=0)(examine)
        pinned = (NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes)
        answers = [task.options(scheduling_strategy=place).remote(asked) for place in pinned]
    finally:
        unregister_pickle_by_value(module)
    ready, _ = ray.wait(answers, num_returns=len(answers), timeout=_ANSWER_WITHIN_S) if answers else ([], [])
    for node, answer in zip(nodes, answers, strict=True):
        where = f"node {node['NodeManagerAddress']} ({node['NodeID'][:8]})"
        if answer not in ready:
            hint = "does its storage hang? mend the node, or take it out of the cluster"
            raise StorageError(f"no answer within {_ANSWER_WITHIN_S:g} s", where=where, hint=hint)
        try:
            wrong = ray.get(answer)
        except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
            continue  # It has left, or died and was still listed. Should it come back, its workers examine themselves.
        except ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ConfigError(f"it could not be examined: {lines[-1]}", where=where) from error
        if wrong is not None:
            kind = StorageError if wrong["kind"] == "storage" else ConfigError
            raise kind(wrong["what"], where=where, hint=wrong["hint"])


def refusal_of(asked: dict[str, Any] | None) -> str | None:
    """Return why a worker's own node is not fit for trials, or None; asked by the worker."""
    wrong = examine(asked) if asked else None
    return f"{wrong['what']}; {wrong['hint']}" if wrong else None
