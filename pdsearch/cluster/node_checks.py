"""Checks that every node is fit for trials, before the first trial and on nodes that join later.

A node that joins later is checked by its own workers.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pdsearch.cluster import examine as module
from pdsearch.cluster.examine import Asked, examine, present, trial_computes_bf16, versions_here
from pdsearch.cluster.slots import GrowingSlots, Node
from pdsearch.errors import ConfigError, StorageError
from pdsearch.io import Place, remove, replace
from pdsearch.user_code import places

_ANSWER_WITHIN_S = 300.0
_LOOK_EVERY_S = 1.0
_TRIES, _PAUSE_S = 6, 5.0
"""Attempts to get a node's answer, and seconds between: Ray may lose a process, and lists a dead node for a while."""

_MARKER = ".nodes.tmp"


@contextmanager
def expected(
    folder: Place, *, code: dict[str, str], files: list[str], gpu: float, bf16: bool = False
) -> Iterator[Asked]:
    """Mark the storage while the block runs; yield what a node must have: the marker, versions, code, files, a GPU.

    Args:
        folder: The study's, in the storage.
        code: Hash of each piece of the user's own code, by dotted name.
        files: Paths that must exist on a node.
        gpu: Share of a GPU that a trial trains on.
        bf16: Whether a node's device has to compute in bf16, which `precision: auto` has chosen for the study.

    Raises:
        StorageError: The marker cannot be written.
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
            "places": places(),
            "files": files,
            "gpu": gpu,
            "bf16": bf16,
        }
    finally:
        remove(marker)


def check_nodes(nodes: list[Node], asked: Asked) -> None:
    """Run the checks of `examine` on every node.

    Args:
        nodes: As Ray describes them.
        asked: What `expected` yielded.

    Raises:
        StorageError: A node does not see the driver's storage, cannot write there, or does not answer.
        ConfigError: A node has other versions, or lacks code, files or the GPU that Ray gives trials there.
    """
    for where, wrong in _answers(nodes, examine, asked):
        if wrong is not None:
            kind = StorageError if wrong["kind"] == "storage" else ConfigError
            raise kind(wrong["what"], where=where, hint=wrong["hint"])


def workers_compute_bf16(slots: GrowingSlots, say: Callable[[str], None]) -> bool:
    """Return whether the devices of all nodes with room for a trial compute in bf16; the first such node is waited for.

    Args:
        slots: Finds the nodes that fit a trial.
        say: Tells the user what is being waited for.

    Raises:
        StorageError: A node does not answer.
        ConfigError: A node has other versions than the driver, or lacks the GPU that Ray gives trials there.
    """
    asked = Asked(
        versions=versions_here(),
        root="",
        marker=None,
        token="",
        code={},
        places=[],
        files=[],
        gpu=slots.gpu,
        bf16=False,
    )
    while True:
        if not slots.nodes():
            say(f"{slots.news()}: `precision: auto` is settled by a worker's device")
            _wait_for_room(slots)
        check_nodes(slots.nodes(), asked)
        able = dict(_answers(slots.nodes(), trial_computes_bf16, slots.gpu))
        if not all(able.values()) and any(able.values()):
            without = ", ".join(where for where, answer in able.items() if not answer)
            say(f"`precision: auto` does without bf16, which {without} would have to emulate")
        if able:
            return all(able.values())


def _wait_for_room(slots: GrowingSlots) -> None:
    """Request a trial's resources, which makes an autoscaler start a node; return when a node that has them is up."""
    import ray  # After the session has set Ray's environment.

    from pdsearch.cluster.arrival import NODE_WITHIN_S, away  # likewise

    task = ray.remote(max_retries=-1, **slots.of_a_task())(present)
    while not slots.nodes():
        with _sent_as_it_stands():
            room = task.remote()
        try:
            ray.get(room, timeout=NODE_WITHIN_S)
        except ray.exceptions.GetTimeoutError as error:
            raise away(False, NODE_WITHIN_S, None) from error
        time.sleep(_LOOK_EVERY_S)


def _answers(nodes: list[Node], function: Callable[[Any], Any], asked: object) -> Iterator[tuple[str, Any]]:
    """Run a function of `examine` on every node; yield location and answer, except of nodes that left meanwhile."""
    import ray  # After the session has set Ray's environment.

    for left in reversed(range(_TRIES)):
        again = []
        for node, where, answer in _asked(nodes, function, asked):
            try:
                yield where, ray.get(answer)
            except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
                continue  # It left, or was listed although dead. If it comes back, its workers check it.
            except ray.exceptions.RayError as error:
                if not left:
                    lines = str(error).strip().splitlines() or [type(error).__name__]
                    raise ConfigError(f"it could not be examined: {lines[-1]}", where=where) from error
                again.append(node)  # Ray lost a process, or the whole node, which it notices later.
        if not again:
            return
        nodes = again
        time.sleep(_PAUSE_S)


def _asked(
    nodes: list[Node], function: Callable[[Any], Any], asked: object
) -> Iterator[tuple[Node, str, Any]]:
    """Run a function on all nodes concurrently; yield each node, its location and the reference of its answer."""
    import ray  # As above.
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # One call a process: an import that failed may fail ever after.
    task = ray.remote(num_cpus=0, max_retries=0, max_calls=1)(function)
    pinned = (NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes)
    with _sent_as_it_stands():
        answers = [task.options(scheduling_strategy=place).remote(asked) for place in pinned]
    ready, _ = ray.wait(answers, num_returns=len(answers), timeout=_ANSWER_WITHIN_S) if answers else ([], [])
    for node, answer in zip(nodes, answers, strict=True):
        where = f"node {node['NodeManagerAddress']} ({node['NodeID'][:8]})"
        if answer not in ready:
            hint = "does its storage hang? mend the node, or take it out of the cluster"
            raise StorageError(f"no answer within {_ANSWER_WITHIN_S:g} s", where=where, hint=hint)
        yield node, where, answer


@contextmanager
def _sent_as_it_stands() -> Iterator[None]:
    """Pickle the module `examine` by value in the block: a node may lack pdsearch, or have another version."""
    from ray.cloudpickle import register_pickle_by_value, unregister_pickle_by_value

    register_pickle_by_value(module)
    try:
        yield
    finally:
        unregister_pickle_by_value(module)


def refusal_of(asked: Asked | None) -> str | None:
    """Return why a worker's own node is not fit for trials, or None; called by the worker."""
    wrong = examine(asked) if asked else None
    return f"{wrong['what']}; {wrong['hint']}" if wrong else None
