"""The pass of checks with which a study opens: each data set is read and each network built once, for all of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pdsearch.config import Space
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.io import Place
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.rehearsal import Rehearsal, rehearsing
from pdsearch.search.planning.disk import shape_of
from pdsearch.search.planning.prunable_share import prunable_lines
from pdsearch.search.preflight.dry_run import check_outside, check_trials, prepare_images, say_contents
from pdsearch.search.preflight.resources import (
    AUTO,
    Precision,
    check_room,
    choose_precision,
    kept_precision,
    room,
)
from pdsearch.search.resolved import Description
from pdsearch.specs import DataSpec
from pdsearch.training.device import pick_device


@dataclass(frozen=True)
class Preflight:
    """The checks of a study that begins or goes on."""

    space: Space
    root: Place
    site: WorkerContext
    images: DataSpec
    say: Callable[[str], None]

    def check_place(self, *, here: bool) -> None:
        """Check the device and room of a new study before anything is written, so that a refused one leaves nothing.

        Args:
            here: Whether its trials run on this machine, which then must have the GPU that they ask for.
        """
        if here:
            pick_device(self.space.resources.gpu)
        check_room(self.root)
        for text in (*self.space.warnings, *self.space.notes):
            self.say(f"note: {text}")

    def check_new(
        self, found: Description, ask_workers: Callable[[], bool] | None
    ) -> tuple[Description, Precision]:
        """Try all that a new study names; return what was resolved, contents and precision included.

        Args:
            found: What the space's files hold.
            ask_workers: Returns whether the devices of a cluster's workers compute in bf16; None asks nobody.
        """
        # Before study.json is written: a repaired data set has another fingerprint.
        data = prepare_images(self.images, self.site, self.say)
        found = replace(found, contents=say_contents(self.space, data, self.say).as_json())
        with self._rehearsing(data) as rehearsal:
            precision = choose_precision(self.space, rehearsal)
            found = replace(found, precision=precision.name)
            check_outside(self.space, found, self.site, self.say)
            check_trials(self.space, found, rehearsal)
            notes = prunable_lines(self.space, rehearsal.teacher, data.inputs.shape)
            full = room(self.space, self.root, shape_of(data), rehearsal.weights)
            for line in [*notes, *([full] if full else [])]:
                self.say(f"note: {line}")
            if ask_workers is not None and self.space.precision == AUTO:
                # After every check that can fail here: a worker may have to be waited for, and paid for.
                precision = choose_precision(self.space, rehearsal, workers=ask_workers())
                found = replace(found, precision=precision.name)
        if found.precision == "fp16" and self.space.resources.gpu > 0:
            what = "trials in fp16 were tried on the CPU in fp32: values above 65,504 show in training only"
            self.say(f"note: {what}")
        return found, precision

    def check_resumed(
        self, found: Description, began: str, *, changed: bool
    ) -> tuple[Description, Precision]:
        """Try what may be another in a study that goes on: teachers from outside; where it `changed`, its trials.

        Args:
            found: What the space's files hold.
            began: The precision that the study began with.
            changed: Whether its space or its own code is another since.
        """
        precision = kept_precision(self.space, began)
        found = replace(found, precision=precision.name)
        check_outside(self.space, found, self.site, self.say)
        if changed:
            with self._rehearsing(prepare_images(self.images, self.site, self.say)) as rehearsal:
                check_trials(self.space, found, rehearsal)
        return found, precision

    def check_rest(self) -> None:
        """Check what a study that goes on needs for the work that is left."""
        check_room(self.root)
        prepare_images(self.images, self.site, self.say)

    @contextmanager
    def _rehearsing(self, data: Dataset) -> Iterator[Rehearsal]:
        """Yield a rehearsal that shares this pass's networks; a driver needs them no more afterwards."""
        with rehearsing(data, self.site.kept, on_gpu=self.space.resources.gpu > 0) as rehearsal:
            yield rehearsal
        self.site.release()
