"""The dense teacher: trained once for all trials, studies and nodes."""

from collections.abc import Generator

from pdsearch.data import Dataset
from pdsearch.events import Progress
from pdsearch.specs import TrialSpec, derive_seed
from pdsearch.stages.fitting import Fitting, fit_teacher
from pdsearch.stages.keys import dense_key
from pdsearch.stages.networks import Network, blank, network, packed
from pdsearch.stages.obtain import Made, obtain
from pdsearch.stages.site import Site

__all__ = ["dense_teacher"]


def dense_teacher(spec: TrialSpec, data: Dataset, site: Site) -> Generator[Progress, None, Network]:
    """Return the dense teacher of a trial, training it if nobody has."""
    key = dense_key(spec)

    def make() -> Generator[Progress, None, Made]:
        teacher = spec.teacher
        model = blank(teacher.model, teacher.options, data, teacher.seed)
        fitting = Fitting(spec, data, site, stage="teacher", key=key)
        seed = derive_seed(teacher.seed, "teacher")
        meta = yield from fit_teacher(fitting, model, note=teacher.model, recipe=teacher.recipe, seed=seed)
        return Made(packed(model), meta)

    entry = yield from obtain(site, "teacher", key, make)
    return network(entry, spec, data, site)
