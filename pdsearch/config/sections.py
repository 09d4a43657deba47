"""Pydantic models of a space file's sections; omitted fields have the defaults of the spec.

Fields that a trial needs but that may be searched instead (`train.distill.lr`) are optional here; `checks` requires
them.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from pdsearch.config import validators as words
from pdsearch.config.ledger_url import BESIDE
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe

OPTION_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Epochs = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Share = Annotated[float, Field(gt=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
OptionName = Annotated[str, Field(pattern=OPTION_NAME)]
OptionValue = Annotated[
    Any, BeforeValidator(words.option), WithJsonSchema({"type": ["boolean", "number", "string", "array"]})
]
Options = Annotated[dict[OptionName, OptionValue], Field(max_length=64)]
Width = Annotated[Any, BeforeValidator(words.width), WithJsonSchema({"type": "array"})]
Layers = list[Annotated[str, Field(min_length=1)]]
Number = Annotated[Any, BeforeValidator(words.number), WithJsonSchema({"type": "number"})]


def unset(description: str, **rules: Any) -> Any:
    """Declare an optional field without a default value."""
    return Field(default=None, description=description, json_schema_extra=_drop_default, **rules)


def nested(kind: type[BaseModel], description: str) -> Any:
    """Declare an optional section, whose fields have their defaults if it is omitted."""
    return Field(default_factory=kind, description=description, json_schema_extra=_drop_default)


def _drop_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class Section(BaseModel):
    """What all sections share: no unknown keys, no conversions, no numbers that are not finite."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, validate_default=False
    )


class DataSection(Section):
    """The images and how they are split."""

    source: Annotated[str, AfterValidator(words.source)] = Field(description="Where the images come from.")
    root: str | None = unset("File or folder the source reads, if it needs one.", min_length=1)
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        DataSpec.val_fraction, description="Share of the training images cut off for validation."
    )
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        DataSpec.test_fraction,
        description="Share of all images cut off for testing, before anything else, where the set has no test images.",
    )
    split_seed: Seed = Field(DataSpec.split_seed, description="Seed of these cuts.")
    augment: Annotated[
        str, BeforeValidator(words.augmentations), AfterValidator(words.canonical_augmentation)
    ] = Field(
        DataSpec.augment,
        description="Augmentations of training views, in order: a list, or names joined by `+`.",
    )
    normalise: Literal["per_channel", "none"] = Field(
        "per_channel",
        description="Normalisation of inputs: by mean and deviation of each channel of the training split, or none.",
    )
    crop: Annotated[int, Field(ge=0, le=65_536)] = Field(
        DataSpec.crop,
        description="Side of the crop that networks are given, the centre for evaluation; 0 is the whole image.",
    )
    subset: Count | None = unset("Number of training images to use, class-balanced; all where left out.")
    options: Options = Field(default_factory=dict, description="Further parameters of the source.")


class TeacherSection(Section):
    """The large network."""

    model: Annotated[str, AfterValidator(words.model)] | None = unset(
        "The architecture: a registered model, torchvision/NAME, timm/NAME, or package.module:function."
    )
    seed: Seed = Field(0, description="Seed of the teacher: initialisation, order, views.")
    options: Options = Field(default_factory=dict, description="Further arguments of the model.")
    checkpoint: Annotated[str, AfterValidator(words.checkpoint)] | None = unset(
        "File of weights trained elsewhere; nothing is trained then."
    )
    checkpoint_key: str | None = unset(
        "Keys or prefix of the weights in that file, where it holds several that fit.", min_length=1
    )
    head: Literal["keep", "fresh"] = Field(
        "keep", description="Whether the checkpoint's last layer is kept, or drawn anew and all trained."
    )


class StudentSection(Section):
    """The small network, or `from_teacher`: what pruning leaves of the teacher."""

    model: Annotated[str, AfterValidator(words.student_model)] | None = unset(
        "The architecture: a registered model, torchvision/NAME, timm/NAME, package.module:function, or from_teacher."
    )
    init: Literal["fresh", "kept"] = Field(
        "fresh", description="Initial weights of from_teacher: drawn anew, or those that pruning left."
    )
    widths: list[Width] = Field(
        default_factory=list,
        description="Layers narrower than the model's: lists of a weight's name and a number of channels.",
    )
    start: Annotated[dict[str, JsonValue], AfterValidator(words.pruning)] | None = unset(
        "Pruning that the kept weights come from, where it is not the trial's own: exports of baselines name it."
    )
    options: Options = Field(default_factory=dict, description="Further arguments of the model.")


class RecipeSection(Section):
    """How a network is trained."""

    epochs: Epochs | None = unset("Passes over the training images.")
    lr: Annotated[float, Field(gt=0)] | None = unset(
        "Learning rate at the start, after warm-up; the highest."
    )
    batch_size: Count = Field(Recipe.batch_size, description="Images per step.")
    optimizer: Literal["sgd", "adam", "adamw"] = Field("sgd", description="The optimizer.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(Recipe.momentum, description="Momentum of SGD.")
    nesterov: bool = Field(Recipe.nesterov, description="Nesterov's form of momentum.")
    weight_decay: NotNegative = Field(
        Recipe.weight_decay, description="L2 term, on all parameters or as decay_norms says."
    )
    schedule: Literal["step", "cosine", "one_cycle"] = Field(
        "step", description="How the learning rate falls."
    )
    milestones: list[Epochs] = Field(
        default_factory=list, description="Epochs after which a step schedule multiplies lr by gamma."
    )
    gamma: Annotated[float, Field(gt=0, le=1)] = Field(
        Recipe.gamma, description="Factor of the step schedule."
    )
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(
        Recipe.warmup_epochs, description="Epochs of linear warm-up."
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        Recipe.label_smoothing, description="Share of a hard target spread over all classes."
    )
    select: Literal["last", "best_val"] = Field("last", description="Which epoch's weights are handed on.")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        Recipe.ema, description="Decay per step of the average of weights that is handed on; 0 is none."
    )
    decay_norms: bool = Field(Recipe.decay_norms, description="Whether norms and biases decay, too.")
    peak: Share = Field(Recipe.peak, description="Share of the steps in which a one-cycle schedule rises.")


class TrainSection(Section):
    """The recipes of the three trainings."""

    teacher: RecipeSection = nested(RecipeSection, "Training of the dense teacher.")
    recover: RecipeSection = nested(RecipeSection, "Training after each pruning round.")
    distill: RecipeSection = nested(RecipeSection, "Training of the student.")


class PruneSection(Section):
    """How the teacher is pruned and recovers."""

    method: Annotated[str, AfterValidator(words.method)] = Field(
        "none", description="The pruning method: a registered one, package.module:function, or none."
    )
    ratio: Share | None = unset("Share of prunable weights or channels to remove.")
    schedule: Literal["geometric", "linear", "exponential", "one_shot"] = Field(
        "geometric", description="How the ratio is reached over the rounds."
    )
    rounds: Annotated[int, Field(ge=1, le=1_000)] = Field(
        PruneSpec.rounds, description="Rounds of the linear and exponential schedules."
    )
    recovery: Literal["lr_rewind", "finetune", "rewind", "none"] = Field(
        "lr_rewind", description="What follows each round."
    )
    rewind_epoch: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        PruneSpec.rewind_epoch,
        description="Epoch of the teacher's training whose weights `rewind` goes back to; 0 is its initialisation.",
    )
    scope: Literal["global", "layer", "erk", "sensitivity"] = Field(
        "global",
        description="Where scores compete: across layers, or in each, with one ratio for all, or one for each.",
    )
    at: Literal["trained", "init"] = Field("trained", description="The weights pruning starts from.")
    exclude: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, description="Glob patterns of parameter names that are never pruned."
    )
    weights: Literal["layers", "matrices"] = Field(
        "layers",
        description="What single weights are removed of: convolutions and linear `layers`, or all `matrices`.",
    )
    round_to: Annotated[int, Field(ge=1, le=1_000)] = Field(
        PruneSpec.round_to, description="Channels that are left of each layer are a multiple of this."
    )
    params: Options = Field(default_factory=dict, description="Parameters of the method.")


class DistillSection(Section):
    """How the student is taught; the loss's parameters stand here by name."""

    model_config = ConfigDict(extra="allow")

    loss: Annotated[str, AfterValidator(words.loss)] = Field(
        DistillSpec.loss, description="The distillation loss: a registered one, or package.module:function."
    )
    seed: Seed = Field(DistillSpec.seed, description="The student's initialisation and order of images.")
    view_seed: Seed = Field(DistillSpec.view_seed, description="The stream of augmented views.")
    teacher_layers: Layers = Field(
        default_factory=list,
        description="Layers of the teacher to compare as stages; its own where left out.",
    )
    student_layers: Layers = Field(
        default_factory=list,
        description="Layers of the student to compare as stages; its own where left out.",
    )


class HalvingSection(Section):
    """Asynchronous successive halving: the best 1 / factor of the trials pass each rung."""

    min_epochs: Epochs = Field(description="The first rung.")
    factor: Annotated[int, Field(ge=2, le=100)] = Field(3, description="Share kept, and ratio between rungs.")


class StopSection(Section):
    """When a weak trial is stopped early."""

    halving: HalvingSection = Field(description="Successive halving.")
    metric: Annotated[str, AfterValidator(words.metric)] | None = unset(
        "The metric that decides; needed with several objectives."
    )


class SearchSection(Section):
    """How the space is searched."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] | None = unset(
        "How many trials; 1 where nothing is searched."
    )
    sampler: Annotated[str, AfterValidator(words.sampler)] = Field(
        "tpe", description="What proposes the next trial: a registered sampler, or package.module:function."
    )
    seed: Seed = Field(0, description="Seed of the sampler.")
    timeout: (
        Annotated[int, BeforeValidator(words.duration_seconds), WithJsonSchema(words.DURATION_SCHEMA)] | None
    ) = unset("Total time, across resumes, as 90s, 12h or 1h30m.")
    gpu_hours: Annotated[float, Field(gt=0)] | None = unset(
        "GPU hours of all jobs, across resumes, after which no trial is begun."
    )
    stop: Annotated[StopSection | None, BeforeValidator(words.switch)] = Field(
        None, description="Early stopping, or off."
    )
    trial_timeout: Annotated[
        int, BeforeValidator(words.duration_seconds), WithJsonSchema(words.DURATION_SCHEMA)
    ] = Field(
        6 * 3600,
        description="Time without a finished epoch after which a trial counts as hung.",
        json_schema_extra={"default": "6h"},
    )
    max_failures: Annotated[int, Field(ge=0)] = Field(
        10, description="Failed trials after which the search ends."
    )
    concurrency: Count | None = unset("Trials at a time; as many as fit where left out.")
    ledger: Annotated[str, AfterValidator(words.ledger)] = Field(
        BESIDE,
        description="Where the Optuna study lives: `journal`, a file beside the records, or a URL"
        " (sqlite:///FILE, postgresql://USER@HOST/DATABASE, journal:///FILE).",
    )


class ObjectiveSection(Section):
    """One thing to optimise."""

    metric: Annotated[str, AfterValidator(words.metric)] = Field(description="What is measured.")
    goal: Literal["maximize", "minimize"] | None = unset(
        "Left out: an accuracy is maximized, anything else minimized."
    )


class Confirm(Section):
    """The finalists, trained again with fresh seeds."""

    teachers: Annotated[int, Field(ge=1, le=1_000)] = Field(5, description="Leading teachers to confirm.")
    seeds: Annotated[int, Field(ge=1, le=1_000)] = Field(5, description="Student seeds of each.")
    teacher_seeds: Annotated[int, Field(ge=1, le=100)] = Field(
        1,
        description="Teachers of each, the searched one and others trained with the seeds that follow its own.",
    )
    front: Annotated[int, Field(ge=0, le=1_000)] | None = unset(
        "Members of the front of several objectives to confirm; where left out, those that make up most of it."
    )


class Resources(Section):
    """What one trial uses."""

    cpu: Annotated[int, Field(ge=1, le=1_024)] = Field(1, description="CPU cores.")
    gpu: Annotated[float, Field(ge=0, le=1), BeforeValidator(words.gpu)] = Field(
        0.0, description="The share of a GPU: 1 is a whole one, 0.5 lets two trials share one, 0 is none."
    )
    accelerator: Annotated[str, Field(pattern=STUDY_NAME)] | None = unset(
        "The kind of GPU on a cluster of several kinds, as Ray names it, e.g. A100; any where left out."
    )
    cuda_graphs: bool = Field(
        True, description="Capture a GPU's steps where that is faster; the same results."
    )


class ParameterForm(Section):
    """One searched parameter: choices, or a range from low to high."""

    choices: Annotated[list[JsonValue], Field(min_length=1, max_length=1_000)] | None = unset("The values.")
    low: Number = unset("Smallest value, inclusive.")
    high: Number = unset("Largest value, inclusive.")
    log: bool = Field(False, description="Search on a logarithmic scale.")
    step: Number = unset("Distance between neighbouring values.")
    when: dict[str, JsonValue] | None = unset("Other parameters and the values that make this one count.")


class File(Section):
    """A space file of pdsearch."""

    study: Annotated[str, Field(pattern=STUDY_NAME), AfterValidator(words.study)] | None = unset(
        "Name of the study; default: the file's."
    )
    data: DataSection = Field(description="The images.")
    teacher: TeacherSection = nested(TeacherSection, "The large network.")
    student: StudentSection = nested(StudentSection, "The small network.")
    train: TrainSection = nested(TrainSection, "Recipes.")
    prune: PruneSection = nested(PruneSection, "Pruning of the teacher.")
    distill: DistillSection = nested(DistillSection, "Distillation.")
    space: Annotated[dict[str, JsonValue], Field(max_length=200)] = Field(
        default_factory=dict, description="What is searched, by dotted name."
    )
    search: SearchSection = nested(SearchSection, "How it is searched.")
    objectives: Annotated[list[ObjectiveSection], Field(min_length=1, max_length=4)] | None = unset(
        "What is optimised; default: student.val_accuracy."
    )
    constraints: Annotated[list[str], Field(max_length=20)] = Field(
        default_factory=list, description="Limits such as 'student.params <= 15e6'."
    )
    confirm: Annotated[Confirm | None, BeforeValidator(words.switch)] = Field(
        None, description="Confirmation of the finalists, or off."
    )
    resources: Resources = nested(Resources, "What one trial uses.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="Precision of training.")
    storage: Annotated[str, AfterValidator(words.storage)] = Field(
        "runs/", description="Folder of results and artifacts, or s3://bucket/prefix."
    )
