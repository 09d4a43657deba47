"""A trial of the digits search in plain PyTorch, as one writes it: prune a trained teacher, then distill a student.

The two scripts beside this file search over it, with Ray Tune and with Optuna. Images, splits, networks, recipes and
ranges are those of `search_spaces/digits.yaml`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)  # two trials at a time on two cores

SEEDS = range(100, 105)
"""Of the five students that judge what a search found; no search uses them."""
ROUNDS = {0.36: 2, 0.59: 4, 0.79: 7}
"""How many rounds, of a fifth of the weights that are left, lead to a ratio."""


def propose(trial: Any) -> None:
    """Draw a configuration, by Optuna's way of defining a space while it is drawn."""
    if trial.suggest_categorical("method", ["none", "magnitude", "random"]) != "none":
        trial.suggest_categorical("ratio", [*ROUNDS])
    trial.suggest_float("temperature", 1, 20, log=True)
    trial.suggest_float("alpha", 0.1, 1.0)


def images() -> dict[str, TensorDataset]:
    """Return training, validation and test images; 45 of each digit, evenly spaced, are for testing."""
    pixels, labels = load_digits(return_X_y=True)
    test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        of_digit = np.flatnonzero(labels == digit)
        test[of_digit[np.arange(45) * len(of_digit) // 45]] = True
    rest = np.flatnonzero(~test)
    train, val = train_test_split(rest, test_size=0.2, stratify=labels[rest], random_state=0)
    mean, std = pixels[train].mean(), pixels[train].std()
    inputs = torch.tensor((pixels - mean) / std, dtype=torch.float32).reshape(-1, 1, 8, 8)
    classes = torch.tensor(labels)
    parts = {"train": train, "val": val, "test": np.flatnonzero(test)}
    return {name: TensorDataset(inputs[chosen], classes[chosen]) for name, chosen in parts.items()}


def network(*widths: int) -> nn.Sequential:
    """Return a stack of convolutions with pooling between them; its first weights are drawn as pdsearch's are."""
    layers: list[nn.Module] = []
    for before, after in zip((1, *widths), widths, strict=False):
        layers += [nn.MaxPool2d(2)] if layers else []
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10))
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    nn.init.normal_(net[-1].weight, 0.0, 0.01)
    nn.init.zeros_(net[-1].bias)
    return net


def train(
    net: nn.Module,
    data: dict[str, TensorDataset],
    epochs: int,
    milestones: Sequence[int],
    teacher: nn.Module | None = None,
    temperature: float = 1.0,
    alpha: float = 0.0,
) -> Iterator[float]:
    """Train a network, with a teacher or on the labels alone; yield its validation accuracy after each epoch."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.2)
    batches = DataLoader(data["train"], batch_size=64, shuffle=True)
    for _ in range(epochs):
        net.train()
        for inputs, labels in batches:
            logits = net(inputs)
            loss = functional.cross_entropy(logits, labels)
            if teacher is not None:
                with torch.no_grad():
                    theirs = functional.softmax(teacher(inputs) / temperature, dim=1)
                ours = functional.log_softmax(logits / temperature, dim=1)
                soft = temperature**2 * functional.kl_div(ours, theirs, reduction="batchmean")
                loss = alpha * soft + (1 - alpha) * loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        yield accuracy(net, data["val"])


@torch.no_grad()
def accuracy(net: nn.Module, part: TensorDataset) -> float:
    """Return the share of images that a network gets right."""
    net.eval()
    right = [(net(inputs).argmax(1) == labels).sum().item() for inputs, labels in DataLoader(part, 256)]
    return sum(right) / len(part)


def dense_teacher(folder: Path) -> Path:
    """Train the teacher, once for all trials; return the file of its weights."""
    torch.manual_seed(0)
    teacher = network(48, 96, 128)
    list(train(teacher, images(), 12, [6, 9]))
    torch.save(teacher.state_dict(), folder / "teacher.pt")
    return folder / "teacher.pt"


def pruned_teacher(config: dict[str, Any], file: Path, data: dict[str, TensorDataset]) -> nn.Module:
    """Prune the teacher round by round as a configuration says, and train it on after each round."""
    torch.manual_seed(0)
    teacher = network(48, 96, 128)
    teacher.load_state_dict(torch.load(file))
    weights = [(layer, "weight") for layer in teacher if isinstance(layer, nn.Conv2d | nn.Linear)]
    methods = {"magnitude": prune.L1Unstructured, "random": prune.RandomUnstructured}
    for _ in range(ROUNDS[config["ratio"]] if config["method"] != "none" else 0):
        prune.global_unstructured(weights, pruning_method=methods[config["method"]], amount=0.2)
        list(train(teacher, data, 4, [2]))
    return teacher.eval()


def student(
    config: dict[str, Any], teacher: nn.Module, data: dict[str, TensorDataset], seed: int
) -> tuple[nn.Module, Iterator[float]]:
    """Return an untrained student, and the training that yields its validation accuracy after each epoch."""
    torch.manual_seed(seed)
    net = network(8, 16)
    return net, train(net, data, 18, [9, 14], teacher, config["temperature"], config["alpha"])


def trial(config: dict[str, Any], file: Path) -> Iterator[float]:
    """Run a trial; yield the student's validation accuracy after each of its epochs."""
    data = images()
    yield from student(config, pruned_teacher(config, file, data), data, seed=0)[1]


def judge(config: dict[str, Any], file: Path) -> None:
    """Train five students with fresh seeds by what a search found best; print their test accuracies."""
    data = images()
    teacher = pruned_teacher(config, file, data)
    found = []
    for seed in SEEDS:
        net, training = student(config, teacher, data, seed)
        list(training)
        found.append(accuracy(net, data["test"]))
    print(json.dumps({"test": found}))
