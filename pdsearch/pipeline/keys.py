"""Cache keys of each stage's result, from the specification alone, and the hashes of the user's own code in them.

Keys are chained: a student's includes its teacher's, a pruning round's that of the round before, and all include the
data's. So trials, of any study, share all the results they have in common.
"""

from collections.abc import Callable
from dataclasses import replace

from pdsearch.artifacts import stage_key
from pdsearch.data.options import keyed_options
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.models import models
from pdsearch.pruning import targets
from pdsearch.pruning.registry import methods
from pdsearch.registry import AnyRegistry
from pdsearch.specs import AtInit, DataSpec, Json, NoRecovery, PruneSpec, Rewind, TrialSpec, digest, keyed
from pdsearch.user_code import source_hash

STAGE_VERSIONS = {
    "data": 1,
    "teacher": 1,
    "early": 1,
    "prune": 2,
    "outputs": 2,
    "student": 2,
}
"""Version of each stage, raised by hand when its results change; every change is listed in the changelog."""


def data_key(data: DataSpec) -> str:
    """Return the key of the decoded, split images; it does not depend on augmentation."""
    fields = keyed(replace(data, options=keyed_options(data.options)))
    assert isinstance(fields, dict)
    fields.pop("augment")
    return _key("data", fields, {})


def dense_key(spec: TrialSpec) -> str:
    """Return the key of the dense teacher."""
    fields: Json = {"teacher": keyed(spec.teacher), **_numerics(spec)}
    return _key("teacher", fields, {"data": data_key(spec.data)})


def early_key(spec: TrialSpec, epoch: int) -> str:
    """Return the key of the dense teacher's weights after an epoch of its training."""
    return _key("early", {"epoch": epoch}, {"teacher": dense_key(spec)})


def round_keys(spec: TrialSpec) -> tuple[str, ...]:
    """Return the keys of the pruning rounds, first to last; none for a dense teacher.

    A round's key includes the sparsity it reaches, not the schedule: schedules that agree up to a round share its key.
    """
    prune = spec.prune
    if prune is None:
        return ()
    keys: list[str] = []
    sparsities = targets(prune)
    for number, sparsity in enumerate(sparsities, 1):
        upstream = keys[-1] if keys else _start_key(spec, prune)
        fields: Json = {
            "sparsity": round(sparsity, 12),
            **_round_fields(spec, prune, last=number == len(sparsities)),
        }
        keys.append(_key("prune", fields, {"before": upstream}))
    return tuple(keys)


def teacher_key(spec: TrialSpec) -> str:
    """Return the key of the trial's teacher: that of the last pruning round, or of the dense teacher."""
    rounds = round_keys(spec)
    return rounds[-1] if rounds else dense_key(spec)


def teacher_config(spec: TrialSpec) -> str:
    """Return the key of a teacher's configuration: its key without the seed."""
    return teacher_key(replace(spec, teacher=replace(spec.teacher, seed=0)))


def outputs_key(spec: TrialSpec, *, block: int, epochs_per_block: int) -> str:
    """Return the key of a block of the teacher's logits for one view stream."""
    fields: Json = {
        "augment": spec.data.augment,
        "view_seed": spec.distill.view_seed,
        "block": block,
        "epochs_per_block": epochs_per_block,
        "precision": spec.precision,
    }
    return _key("outputs", fields, {"teacher": teacher_key(spec), "data": data_key(spec.data)})


def student_key(spec: TrialSpec) -> str:
    """Return the key of the trained student, which is the trial's key."""
    fields: Json = {"student": keyed(spec.student), "distill": keyed(spec.distill), **_numerics(spec)}
    upstream = {"data": data_key(spec.data)}
    if needs_teacher(spec):
        upstream["teacher"] = teacher_key(spec)
    if spec.student.is_kept:
        upstream["start"] = teacher_key(starting(spec))
    return _key("student", fields, upstream)


def starting(spec: TrialSpec) -> TrialSpec:
    """Return the trial whose teacher the student's kept weights come from: itself, or that before a baseline's."""
    return replace(spec, prune=spec.student.start or spec.prune)


def config_key(spec: TrialSpec) -> str:
    """Return the key of a configuration: a student's key without the student's seeds."""
    return student_key(replace(spec, distill=replace(spec.distill, seed=0, view_seed=0, replicas=())))


def needs_teacher(spec: TrialSpec) -> bool:
    """Return whether a trial uses a teacher at all: to distill from, or to shape the student.

    A dense teacher's weights that are trained on by labels alone have been taught by nobody.
    """
    shapes = spec.student.model == "from_teacher" and not (spec.student.is_kept and spec.prune is None)
    return losses.get(spec.distill.loss).needs_teacher or shapes


def recoded(spec: TrialSpec, code: Callable[[AnyRegistry, str, str], str]) -> TrialSpec:
    """Return a trial with other hashes of its own code.

    Args:
        spec: The trial.
        code: Called with the registry, the name and the present hash of each part; the hash is "" for one of pdsearch.
    """

    def pruned(prune: PruneSpec | None) -> PruneSpec | None:
        return prune and replace(prune, code=code(methods, prune.method, prune.code))

    teacher, student, distill = spec.teacher, spec.student, spec.distill
    return replace(
        spec,
        teacher=replace(teacher, code=code(models, teacher.model, teacher.code)),
        prune=pruned(spec.prune),
        student=replace(student, code=code(models, student.model, student.code), start=pruned(student.start)),
        distill=replace(distill, code=code(losses, distill.loss, distill.code)),
    )


def check_own_code(spec: TrialSpec) -> None:
    """Refuse a trial whose models, methods or loss have other source code here than where the study was opened.

    Raises:
        ConfigError: A file differs, or cannot be imported here.
    """

    def checked(registry: AnyRegistry, name: str, code: str) -> str:
        own = registry.own_name(name) if code else None
        if code and (own is None or source_hash(own) != code):
            hint = "give every node the same file, e.g. by `ray job submit --working-dir`"
            raise ConfigError("its file is not the one the study was opened with", where=name, hint=hint)
        return code

    recoded(spec, checked)


def _start_key(spec: TrialSpec, prune: PruneSpec) -> str:
    """Return the key of the first round's input: the dense teacher, or its untrained weights."""
    if not isinstance(prune.after_round, AtInit):
        return dense_key(spec)
    fields: Json = {
        "model": spec.teacher.model,
        "options": keyed(spec.teacher.options),
        "seed": spec.teacher.seed,
        **({"code": spec.teacher.code} if spec.teacher.code else {}),
    }
    return digest({"initial": fields, "data": data_key(spec.data), **_numerics(spec)})


def _round_fields(spec: TrialSpec, prune: PruneSpec, *, last: bool) -> dict[str, Json]:
    structured = methods.get(prune.method).structured
    fields: dict[str, Json] = {
        "method": prune.method,
        "params": keyed(prune.params),
        "scope": prune.scope,
        "exclude": keyed(prune.exclude),
        **({"code": prune.code} if prune.code else {}),
        **({} if structured or prune.weights == "layers" else {"weights": prune.weights}),
        **({"round_to": prune.round_to} if structured and prune.round_to != 1 else {}),
    }
    match prune.after_round:
        case AtInit():  # Only the last round trains, by the teacher's own recipe.
            return {**fields, "trains": keyed(spec.teacher.recipe) if last else None}
        case NoRecovery():
            return {**fields, "recovery": prune.recovery, "recipe": None}
        case Rewind(recipe, epoch) if epoch:
            return {**fields, "recovery": prune.recovery, "recipe": keyed(recipe), "rewind_epoch": epoch}
        case recovery:
            return {**fields, "recovery": prune.recovery, "recipe": keyed(recovery.recipe)}


def _numerics(spec: TrialSpec) -> dict[str, Json]:
    return {"augment": spec.data.augment, "precision": spec.precision}


def _key(stage: str, fields: Json, upstream: dict[str, str]) -> str:
    return stage_key(stage, STAGE_VERSIONS[stage], fields=fields, upstream=upstream)
