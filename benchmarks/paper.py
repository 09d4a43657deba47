"""A pruned against an unpruned VGG19 as teacher of VGG11: CIFAR-100, by the schedule of arXiv 2109.14960.

    python -m benchmarks.paper --data FOLDER --share 0.25 --json results.json      again and again, until complete
    python -m benchmarks.paper --tiny                                              does it run? seconds on any machine

The student alone, the unpruned teacher and teachers pruned to 36, 59 and 79 %, each with as many students as `--seeds`
says, paired by seed. `--share` shortens every schedule; 1 is the paper's.
"""

from benchmarks.time_boxed import Experiment, options, run

EXPERIMENT = Experiment(
    name="paper",
    space="cifar100_vgg19_paper.yaml",
    published={},
    differences=(
        "The paper's tables could not be had: there is no figure to stand beside, only its claim.",
        "Validation images are cut off by class and shown as they are; in the authors' code the split ignores classes "
        "and the images are augmented.",
        "Weights start normal by fan-out, and the linear layer at N(0, 0.01); there all are Kaiming normal by fan-in.",
        "Mean and standard deviation are those of the training split; there they are constants.",
        "Precision is auto: 16 bits where the device has them.",
        "From Parquet files the images are what those files hold; JPEG-compressed copies lower accuracies a little.",
    ),
    tiny=(
        "study=paper-tiny",
        "data.source=digits",
        "data.subset=80",
        "data.val_fraction=0.25",
        "data.augment=none",
        "precision=fp32",
        "teacher.model=convnet_l",
        "student.model=convnet_s",
        "train.teacher.epochs=1",
        "train.teacher.milestones=[]",
        "train.recover.epochs=1",
        "train.recover.milestones=[]",
        "train.distill.epochs=1",
        "train.distill.milestones=[]",
    ),
)


def main() -> None:
    """Run for some minutes, print what is known."""
    run(EXPERIMENT, options(__doc__).parse_args())


if __name__ == "__main__":
    main()
