"""Specifications: frozen, hashable descriptions of everything that is computed. Standard library only.

A spec holds what affects a result and nothing else. `keyed` selects what goes into a key: fields marked as *located*
(paths, names of sources) are left out, and so is a field added later while it has its *neutral* value, the behaviour
before the field existed. A neutral value never changes, even when the default does.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
Params: TypeAlias = tuple[tuple[str, Any], ...]
"""Parameters of a method or loss: sorted (name, value) pairs, hashable."""


def later(default: object, *, neutral: object) -> Any:
    """Declare a field added after its spec was first published: left out of the key at its neutral value."""
    return field(default=default, metadata={"neutral": neutral})


def located(default: object = dataclasses.MISSING) -> Any:
    """Declare a field that tells where data are stored, not what they are: never part of a key."""
    return field(default=default, metadata={"keyed": False})


@dataclass(frozen=True)
class DataSpec:
    """The images, how they are split, and how training views are drawn from them.

    Args:
        source: Registered data source.
        fingerprint: Hash of the source's content, filled in when a study opens; replaces source and root in keys.
        root: File or folder the source reads, if it needs one.
        val_fraction: Share of the training images cut off for validation, in [0, 1).
        split_seed: Seed of that split.
        augment: Registered augmentation of training views.
        subset: Number of training images (validation included) to use, class-balanced; None is all.
        options: Further parameters of the source.
        test_fraction: Share of the images cut off for testing, by class and from split_seed, before anything else,
            where the source has no test images; in [0, 1).
        crop: Height and width of the views, less than those of the images; 0 is the whole images.
        normalise: "per_channel" (by mean and standard deviation of the training split) or "none".
    """

    source: str = located()
    fingerprint: str = ""
    root: str | None = located(None)
    val_fraction: float = 0.1
    split_seed: int = 0
    augment: str = "none"
    subset: int | None = None
    options: Params = ()
    test_fraction: float = later(0.0, neutral=0.0)
    normalise: str = later("per_channel", neutral="per_channel")
    crop: int = later(0, neutral=0)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Args:
        epochs: Passes over the training images, >= 1.
        lr: Learning rate at the start (after warm-up), > 0.
        batch_size: Images per step.
        optimizer: "sgd", "adam" or "adamw".
        momentum: Of SGD.
        nesterov: Nesterov's form of momentum (SGD).
        weight_decay: L2 term, on all parameters, or as decay_norms says.
        schedule: "step" (multiply by gamma at each milestone), "cosine" (to zero) or "one_cycle" (rise to lr, fall
            to almost zero).
        milestones: Epochs after which a step schedule multiplies lr by gamma.
        gamma: Factor of the step schedule.
        warmup_epochs: Epochs of linear warm-up before the schedule.
        label_smoothing: Share of the target spread over all classes, in [0, 1); hard-label training only.
        select: "last" or "best_val": which epoch's weights are handed on.
        ema: Decay per step of the moving average of weights that is evaluated and handed on, in [0, 1); 0 is none.
        decay_norms: Whether weight decay also acts on normalisation weights and biases.
        peak: Share of the steps during which a one-cycle schedule rises, in (0, 1).
    """

    epochs: int
    lr: float
    batch_size: int = 128
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    schedule: str = "step"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: int = 0
    label_smoothing: float = 0.0
    select: str = "last"
    ema: float = later(0.0, neutral=0.0)
    decay_norms: bool = later(True, neutral=True)
    peak: float = later(0.3, neutral=0.3)


@dataclass(frozen=True)
class TeacherSpec:
    """The dense teacher: an architecture, a seed (initialisation, order, views) and a recipe.

    Args:
        model: Registered model.
        seed: Of everything random in its training and pruning.
        recipe: How it is trained; ignored where its weights come from a checkpoint.
        options: Further arguments of the model.
        checkpoint: File of weights trained elsewhere.
        fingerprint: Hash of that file's content, filled in when a study opens; replaces the file in keys.
        code: Hash of the file of a model named by dotted path, filled in when a study opens.
        checkpoint_key: Keys or prefix of the weights in that file, where it holds several that fit.
        head: "keep", or "fresh": the checkpoint's last layer is drawn anew, and the recipe trains the network.
    """

    model: str
    seed: int
    recipe: Recipe
    options: Params = ()
    checkpoint: str | None = located(None)
    fingerprint: str = later("", neutral="")
    code: str = later("", neutral="")
    checkpoint_key: str = later("", neutral="")
    head: str = later("keep", neutral="keep")

    @property
    def trained_here(self) -> bool:
        """Whether its recipe trains it; not one whose weights are those of a checkpoint."""
        return self.checkpoint is None or self.head == "fresh"


@dataclass(frozen=True)
class LrRewind:
    """After each round the weights are kept and trained by the recipe from its first learning rate on.

    Source:
        Renda, Frankle, Carbin, "Comparing rewinding and fine-tuning in neural network pruning", ICLR 2020,
        arXiv 2003.02389, section 2.
    """

    recipe: Recipe


@dataclass(frozen=True)
class FineTune:
    """After each round the weights are kept and trained at the recipe's last learning rate (as above, section 2)."""

    recipe: Recipe


@dataclass(frozen=True)
class Rewind:
    """After each round the weights are reset to those of an epoch of the teacher's training; 0 is initialisation."""

    recipe: Recipe
    epoch: int


@dataclass(frozen=True)
class NoRecovery:
    """Nothing is trained after a round."""


@dataclass(frozen=True)
class AtInit:
    """The untrained weights are pruned; after the last round the teacher's own recipe trains the rest."""


Recovery: TypeAlias = LrRewind | FineTune | Rewind | NoRecovery | AtInit
"""What follows a pruning round."""


@dataclass(frozen=True)
class PruneSpec:
    """How the teacher is pruned and recovers.

    Args:
        method: Registered pruning method, or the user's own by dotted path.
        ratio: Requested share of prunable weights (or channels) to remove, in (0, 1).
        recipe: Training after each round; ignored where recovery is "none".
        schedule: "geometric" (20 % of what remains per round), "linear", "exponential" or "one_shot".
        rounds: Rounds of the linear and exponential schedules; 1 otherwise unused.
        recovery: "lr_rewind", "finetune", "rewind" or "none".
        scope: "global" or "layer": the set of weights within which scores are compared; "erk" or "sensitivity": each
            layer, of which more is removed the more weights it has for its shape, or the less the network needs it.
        at: "trained" or "init": the weights pruning starts from.
        exclude: Glob patterns of parameter names that are never pruned.
        params: Parameters of the method.
        rewind_epoch: Epoch of the teacher's training whose weights "rewind" restores; 0 is initialisation.
        code: Hash of the file of a method named by dotted path, filled in when a study opens.
        weights: What a method of single weights may remove: weights of "layers" (convolutions, linear layers), or all
            "matrices": also those of attention, recurrent, bilinear and transposed layers.
        round_to: Of a method of channels: the channels that are left of each layer are a multiple of this.
    """

    method: str
    ratio: float
    recipe: Recipe
    schedule: str = "geometric"
    rounds: int = 1
    recovery: str = "lr_rewind"
    scope: str = "global"
    at: str = "trained"
    exclude: tuple[str, ...] = ()
    params: Params = ()
    rewind_epoch: int = later(0, neutral=0)
    code: str = later("", neutral="")
    weights: str = later("layers", neutral="layers")
    round_to: int = later(1, neutral=1)

    @property
    def after_round(self) -> Recovery:
        """The recovery that `at`, `recovery`, `recipe` and `rewind_epoch` describe together.

        Raises:
            ValueError: There is no such recovery.
        """
        if self.at == "init":
            return AtInit()
        match self.recovery:
            case "lr_rewind":
                return LrRewind(self.recipe)
            case "finetune":
                return FineTune(self.recipe)
            case "rewind":
                return Rewind(self.recipe, self.rewind_epoch)
            case "none":
                return NoRecovery()
        raise ValueError(f"unknown prune.recovery {self.recovery!r}")


@dataclass(frozen=True)
class StudentSpec:
    """The student's architecture, or "from_teacher": shaped by the pruned teacher's masks.

    Args:
        model: Registered model.
        options: Further arguments of the model.
        code: Hash of the file of a model named by dotted path, filled in when a study opens.
        init: Of "from_teacher": "fresh" weights from the student's seed, or those the teacher has "kept".
        widths: Layers narrower than the model's, as pairs of a weight's name and its number of channels.
        start: Of "kept" weights: the pruning of the teacher they come from, where that is not the trial's own.
    """

    model: str
    options: Params = ()
    code: str = later("", neutral="")
    init: str = later("fresh", neutral="fresh")
    widths: tuple[tuple[str, int], ...] = later((), neutral=())
    start: PruneSpec | None = field(default=None, metadata={"neutral": None, "keyed": False})

    @property
    def is_kept(self) -> bool:
        """Whether its initial weights are a teacher's."""
        return self.model == "from_teacher" and self.init == "kept"


@dataclass(frozen=True)
class DistillSpec:
    """How the student is taught: a loss, a recipe and two seeds.

    Args:
        recipe: The student's training.
        loss: Registered loss; "ce" is the student alone, with no teacher.
        params: Parameters of the loss, e.g. temperature and alpha.
        seed: The student's initialisation and order of images.
        view_seed: The stream of augmented views, shared by teacher and student.
        code: Hash of the file of a loss named by dotted path, filled in when a study opens.
        teacher_layers: Layers of the teacher whose outputs are its stages for a loss on features; none are its own.
        student_layers: Those of the student likewise.
        replicas: Only in records of earlier versions: seeds trained together with it as one network. It is part of
            their keys; nothing is trained this way any more.
    """

    recipe: Recipe
    loss: str = "kd"
    params: Params = ()
    seed: int = 0
    view_seed: int = 0
    code: str = later("", neutral="")
    replicas: tuple[int, ...] = later((), neutral=())
    teacher_layers: tuple[str, ...] = later((), neutral=())
    student_layers: tuple[str, ...] = later((), neutral=())


@dataclass(frozen=True)
class TrialSpec:
    """A complete trial: data, teacher, pruning (None leaves the teacher dense), student, distillation.

    precision: "fp32", "bf16" or "fp16", already resolved from "auto".
    """

    data: DataSpec
    teacher: TeacherSpec
    student: StudentSpec
    distill: DistillSpec
    prune: PruneSpec | None = None
    precision: str = "fp32"


def own_code_of(spec: TrialSpec) -> set[str]:
    """Return the hashes of the files of the user's own code that a trial had."""
    parts = (spec.teacher, spec.student, spec.student.start, spec.prune, spec.distill)
    return {part.code for part in parts if part is not None and part.code}


def keyed(spec: object) -> Json:
    """Return the part of a spec that goes into a key, as plain JSON values.

    Raises:
        TypeError: A value has no canonical form; none is guessed.
    """
    if dataclasses.is_dataclass(spec) and not isinstance(spec, type):
        return {f.name: keyed(getattr(spec, f.name)) for f in dataclasses.fields(spec) if _counts(f, spec)}
    if isinstance(spec, Mapping):
        return {str(name): keyed(value) for name, value in spec.items()}
    if isinstance(spec, tuple | list):
        return [keyed(value) for value in spec]
    if isinstance(spec, float) and not math.isfinite(spec):
        raise TypeError(f"{spec} cannot be part of a key")
    if spec is None or isinstance(spec, bool | int | float | str):
        return cast("Json", spec)
    raise TypeError(f"{type(spec).__name__} cannot be part of a key")


def _counts(f: "dataclasses.Field[Any]", spec: object) -> bool:
    if not f.metadata.get("keyed", True):
        return False
    return "neutral" not in f.metadata or getattr(spec, f.name) != f.metadata["neutral"]


def canonical_json(value: Json) -> str:
    """Return the canonical text of a JSON value: sorted names, no spaces, ASCII, floats by repr."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Json) -> str:
    """Return the SHA-256 of a JSON value's canonical text, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**63) that depends on every part: a named seed, its purpose, an epoch, ..."""
    return int.from_bytes(hashlib.sha256(canonical_json(list(parts)).encode()).digest()[:8], "big") >> 1
