"""Is the user's own code here the code the study began with? Another file on this node would be another result."""

from pdsearch.dotted import source_hash
from pdsearch.errors import ConfigError
from pdsearch.specs import TrialSpec

__all__ = ["check_own_code"]


def check_own_code(spec: TrialSpec) -> None:
    """Refuse a trial whose models, method or loss are other code here than where the study was opened.

    Raises:
        ConfigError: A file differs, or cannot be imported here.
    """
    named = [(spec.teacher.model, spec.teacher.code), (spec.student.model, spec.student.code)]
    named += [(spec.prune.method, spec.prune.code)] if spec.prune else []
    for name, code in (*named, (spec.distill.loss, spec.distill.code)):
        if code and source_hash(name) != code:
            hint = "give every node the same file, e.g. by `ray job submit --working-dir`"
            raise ConfigError("its file is not the one the study was opened with", where=name, hint=hint)
