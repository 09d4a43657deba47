"""`pdsearch run`: search a space, or go on with its study; then confirm, rank, and say what to do next."""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pdsearch.cli.arguments import Overrides, SpaceFile
from pdsearch.cli.console import note, stderr
from pdsearch.cli.interrupt import Stop, stoppable
from pdsearch.cli.lines import JsonLines, Lines
from pdsearch.cli.screen import Screen
from pdsearch.cluster.choice import Choice, choose
from pdsearch.errors import ConfigError
from pdsearch.redaction import redacted
from pdsearch.space import Space, load
from pdsearch.storage import is_url, telling

__all__ = ["run"]


def run(
    space: SpaceFile,
    address: Annotated[
        str | None,
        typer.Option(
            help="Join a Ray cluster: auto, or host:port; local keeps to this machine. Else RAY_ADDRESS."
        ),
    ] = None,
    serial: Annotated[
        bool, typer.Option("--serial", help="One trial at a time in this process, without Ray.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trials at once; as many as fit if not given.")
    ] = None,
    overrides: Overrides = None,
    progress: Annotated[str, typer.Option(help="auto, screen, lines or json.")] = "auto",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what the engine chooses; let Ray's own log through.")
    ] = False,
) -> None:
    """Search a space. The same command goes on where an earlier one ended, however it ended."""
    with stoppable(note) as stop:
        asked = load(space, overrides=tuple(overrides or ()))
        for warning in (*asked.warnings, *asked.notes):
            note(f"note: {warning}")
        choice = _choice(asked, address, serial=serial)
        again = _command(space, overrides or (), address=address, serial=serial, workers=workers)
        with _observer(progress, asked) as observer:
            finish = _search(
                asked, again, observer, stop, choice=choice, serial=serial, workers=workers, verbose=verbose
            )
        # Whoever reads JSON lines gets nothing else on stdout.
        with redirect_stdout(sys.stderr) if progress == "json" else nullcontext():
            finish()


def _choice(space: Space, address: str | None, *, serial: bool) -> Choice:
    """Return which Ray the run is to use, before anything is opened."""
    choice = Choice() if serial and not address else choose(address)
    if choice.address and not (space.storage.startswith("/") or is_url(space.storage)):
        raise ConfigError(
            f"a cluster ({choice.where}) needs a storage that every node sees at the same path",
            where=f"storage: {space.storage}",
            hint="give an absolute path on a shared mount, e.g. --set storage=/mnt/shared/runs, or s3://bucket/prefix;"
            " or keep to this machine with --address local",
        )
    if serial and address:
        raise ConfigError("a run without Ray uses no cluster", where="--serial", hint="leave --address out")
    return choice


def _command(
    space_file: Path, overrides: Sequence[str], *, address: str | None, serial: bool, workers: int | None
) -> str:
    """Return the command of this run as a shell takes it, but for how many trials it asks for, and for secrets."""
    words = ["pdsearch", "run", str(space_file)]
    for text in overrides:
        words += ["--set", text] if text.partition("=")[0].strip() != "search.trials" else []
    words += ["--address", address] if address else []
    words += ["--serial"] if serial else []
    words += ["--workers", str(workers)] if workers else []
    return shlex.join([redacted(word) for word in words])


def _search(
    space: Space,
    again: str,
    observer: Any,
    stop: Stop,
    *,
    choice: Choice,
    serial: bool,
    workers: int | None,
    verbose: bool,
) -> Any:
    from pdsearch.search.choices import choices  # torch is loaded from here on
    from pdsearch.search.preflight import crowd, room
    from pdsearch.search.study import open_study

    ask = (
        partial(_ask_workers, space, observer.say, choice=choice, verbose=verbose) if choice.address else None
    )
    with telling(observer.say), open_study(space, observer, ask_workers=ask) as study:
        if not study.agenda.idle():
            at_once = 1 if serial else workers or space.search.concurrency or 1
            for warning in (room(space, study.root), None if choice.address else crowd(space, at_once)):
                if warning:
                    observer.say(f"note: {warning}")
            if verbose:
                for line in choices(space, study.precision):
                    observer.say(line)
            if serial:
                _serially(study, space, stop)
            else:
                _on_ray(study, space, stop, choice=choice, workers=workers, verbose=verbose)
        if study.agenda.failure:
            raise study.agenda.failure
        return lambda: _close(study, observer, again)


def _close(study: Any, observer: Any, again: str) -> None:
    from pdsearch.cli.closing import (
        closing_words,
    )  # SciPy's second of loading comes when nobody waits for a trial

    closing_words(study, observer.tally, again)


def _serially(study: Any, space: Space, stop: Stop) -> None:
    import torch

    from pdsearch import serial
    from pdsearch.artifacts import open_store
    from pdsearch.stages.site import Site
    from pdsearch.training import keep_freed_memory, pick_device

    torch.set_num_threads(max(1, space.resources.cpu))
    keep_freed_memory()
    site = Site(
        open_store(study.artifacts),
        study.progress,
        device=pick_device(space.resources.gpu),
        logs=study.folder / "trials",
        patience_s=space.search.trial_timeout,
        graphs=space.resources.cuda_graphs,
    )
    with stop.draining(study.agenda.interrupt, study.agenda.observer.say):
        serial.run(study.agenda, site)


def _ask_workers(space: Space, say: Callable[[str], None], *, choice: Choice, verbose: bool) -> bool:
    """Return whether the devices of a cluster's workers compute in bf16; a signal ends the wait for a first one."""
    say(f"joining the Ray cluster ({choice.where}) to ask what its devices compute in")
    with _session(space, say, choice=choice, workers=None, verbose=verbose) as ray_session:
        from pdsearch.cluster.probe import workers_compute_bf16

        return workers_compute_bf16(ray_session.slots, say)


def _session(
    space: Space, say: Callable[[str], None], *, choice: Choice, workers: int | None, verbose: bool
) -> AbstractContextManager[Any]:
    from pdsearch.cluster.session import session

    resources = space.resources
    return session(
        cpu=resources.cpu,
        gpu=resources.gpu,
        accelerator=resources.accelerator,
        workers=workers or space.search.concurrency,
        verbose=verbose,
        choice=choice,
        say=say,
    )


def _on_ray(
    study: Any, space: Space, stop: Stop, *, choice: Choice, workers: int | None, verbose: bool
) -> None:
    from pdsearch.training import pick_device

    say = study.agenda.observer.say
    if choice.address is None:
        pick_device(space.resources.gpu)  # Torch may see fewer than Ray.
    with _session(space, say, choice=choice, workers=workers, verbose=verbose) as ray_session:
        say(choice.words(ray_session.address))
        from pdsearch.cluster import runner  # ray.tune reads its environment when it is imported

        examined = _examined(study, space, ray_session) if choice.address else nullcontext()
        with examined as node, stop.draining(study.agenda.interrupt, say):
            runner.run(
                study.agenda,
                ray_session,
                resources=space.resources,
                artifacts=study.artifacts,
                progress=study.progress,
                folder=study.folder,
                patience_s=space.search.trial_timeout,
                node=node,
                say=say,
            )


@contextmanager
def _examined(study: Any, space: Space, ray_session: Any) -> Iterator[dict[str, Any]]:
    """Have every node of a cluster examine itself before any trial, and give what those that join later must find."""
    from pdsearch.cluster.probe import check_nodes, expected
    from pdsearch.data.options import must_be_there
    from pdsearch.search.describe import absolute

    data = space.resolve(space.defaults()).data
    files = [absolute(path) for path in study.describe.checkpoints]
    files += [absolute(str(data.root))] if must_be_there(data) else []
    with expected(study.folder, code=dict(study.describe.code), files=files) as asked:
        check_nodes(ray_session.slots.nodes(), asked)
        yield asked


def _observer(progress: str, space: Space) -> AbstractContextManager[Any]:
    console = stderr()
    if progress == "json":
        return JsonLines(sys.stdout)
    if progress == "lines" or (progress == "auto" and not console.is_terminal):
        return Lines(sys.stderr)
    if progress in ("auto", "screen"):
        return Screen(console, space.study)
    raise ConfigError(
        f"unknown progress {progress!r}", where="--progress", hint="known: auto, screen, lines, json"
    )
