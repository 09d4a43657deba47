"""kd and dkd against mdistiller's published figures: CIFAR-100, ResNet32x4 into ResNet8x4, its recipe.

    python -m benchmarks.mdistiller --data FOLDER --json results.json      again and again, until it says complete
    python -m benchmarks.mdistiller --tiny                                 does it run? seconds on any machine

Source:
    github.com/megvii-research/mdistiller at a08d46f: configs/cifar100/kd.yaml and dkd/res32x4_res8x4.yaml,
    mdistiller/engine/cfg.py (weights, temperature, warm-up), README (figures).
"""

from benchmarks.time_boxed import Experiment, options, run

EXPERIMENT = Experiment(
    name="mdistiller",
    space="cifar100_resnet32x4_mdistiller.yaml",
    published={"kd": 73.33, "dkd": 76.32},
    differences=(
        "mdistiller's log keeps the best test accuracy of all epochs; here the last epoch's is stated.",
        "mdistiller downloads its teacher (trained by Tian et al., arXiv 1910.10699); here it is trained by the same "
        "recipe, once, from seed 0.",
        "Every student sees views of its own stream, drawn per image and epoch, the teacher the same ones; mdistiller "
        "draws them in the loader.",
        "Images are normalised by the training images' own mean and deviation; mdistiller rounds them to four digits.",
        "The teacher is folded (batch normalisation inside the convolutions): equal to 1e-4 in float32.",
        "Precision is auto: 16 bits where the device has them; mdistiller trains in float32 (--precision fp32).",
        "From Parquet files the images are what those files hold; JPEG-compressed copies lower accuracies a little.",
    ),
    tiny=(
        "study=mdistiller-tiny",
        "data.source=digits",
        "data.subset=60",
        "data.augment=none",
        "precision=fp32",
        "teacher.model=resnet8x4",
        "train.teacher.epochs=2",
        "train.teacher.milestones=[1]",
        "train.distill.epochs=2",
        "train.distill.milestones=[1]",
        "distill.warmup_epochs=2",
    ),
)


def main() -> None:
    """Run for some minutes, print what is known."""
    run(EXPERIMENT, options(__doc__).parse_args())


if __name__ == "__main__":
    main()
