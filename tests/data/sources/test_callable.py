"""A user's function is named, called with its arguments, and what it returns is checked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdsearch.data.dataset.dataset import store
from pdsearch.data.dataset.views import Views
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import pixels, prepared

SOURCE = sources.get("callable")
HERE = "tests.data.sources.test_callable"


def plain(count: int = 4, classes: int = 2) -> tuple[Any, ...]:
    labels = np.arange(count, dtype=np.int64) % 2
    return pixels(count, 1, 8), labels, pixels(2, 1, 8), labels[:2], range(classes)


def untested() -> tuple[Any, ...]:
    return (*plain()[:2], None, None, "ab")


def unlabelled() -> tuple[Any, ...]:
    return pixels(4, 1, 8), pixels(4, 1, 8)


def floats() -> tuple[Any, ...]:
    return pixels(4, 1, 8) / 255, *plain()[1:]


def masked() -> tuple[Any, ...]:
    return np.ma.masked_less(pixels(4, 1, 8), 128), *plain()[1:]


def masked_labels() -> tuple[Any, ...]:
    return plain()[0], np.ma.masked_equal([0, 1, 0, 1], 1), *plain()[2:]


def listed() -> tuple[Any, ...]:
    train, labels, test, *_ = plain()
    return torch.from_numpy(train), labels.tolist(), test, torch.tensor([0, 1]), ["a", "b"]


def last() -> tuple[Any, ...]:
    return np.zeros((4, 8, 8, 3), np.uint8), *plain()[1:2], np.zeros((2, 8, 8, 3), np.uint8), [0, 1], "ab"


def ragged() -> tuple[Any, ...]:
    return [np.zeros((1, side, 8)) for side in (4, 8)], *plain()[1:]


def by_name() -> dict[str, Any]:
    return dict.fromkeys("abcde", plain()[0])


def changing(seen: list[int] = []) -> tuple[Any, ...]:  # noqa: B006 - it counts its calls
    seen.append(1)
    return plain(len(seen) + 3)


class Lazy:
    """Images that are read when indexed, and of another type than they state."""

    shape = (4, 1, 8, 8)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: Any) -> Any:
        return pixels(4, 1, 8)[index].astype(self.kind)


def lazily(kind: str) -> tuple[Any, ...]:
    return Lazy(kind), *plain()[1:]


def unnameable() -> tuple[Any, ...]:
    return (*plain()[:4], ["a", "\ud800"])


def leaving() -> None:
    raise SystemExit(0)


def failing() -> RawData:
    raise KeyError("gone")


def forgetful() -> None:
    return None


def spec(name: str, root: Path | None = None, **options: Any) -> DataSpec:
    named = tuple(sorted({"function": f"{HERE}:{name}", **options}.items()))
    return DataSpec("callable", root=None if root is None else str(root), options=named)


def test_arrays_are_enough_and_options_are_arguments() -> None:
    raw = SOURCE.read(spec("plain", count=6))
    assert len(raw.train_images) == 6
    assert raw.classes == ("0", "1")


def test_the_fingerprint_is_of_what_it_returns() -> None:
    found = SOURCE.fingerprint(spec("plain"))
    assert SOURCE.fingerprint(spec("plain")) == found
    assert SOURCE.fingerprint(spec("plain", count=6)) != found


def test_a_declared_version_stands_for_the_content() -> None:
    found = SOURCE.fingerprint(spec("failing", version="1"))  # It is not called.
    assert SOURCE.fingerprint(spec("failing", version="2")) != found
    assert len(SOURCE.read(spec("plain", version="1")).train_images) == 4


def test_lists_and_tensors_are_arrays() -> None:
    ours, theirs = SOURCE.read(spec("listed")), SOURCE.read(spec("plain"))
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        found = getattr(ours, name)
        assert isinstance(found, np.ndarray)
        assert found.dtype == getattr(theirs, name).dtype
        assert np.array_equal(found, getattr(theirs, name))


def test_axes_that_may_be_meant_otherwise_are_noted() -> None:
    assert SOURCE.read(spec("last")).notes == (
        "inputs are read as uint8 (8, 8, 3), channels first: move the last axis if it holds the channels",
    )
    assert SOURCE.read(spec("plain")).notes == ()


def test_other_data_at_every_call_are_refused() -> None:
    named = spec("plain")
    assert len(SOURCE.read(replace(named, fingerprint=SOURCE.fingerprint(named))).train_images) == 4
    named = spec("changing")
    first = replace(named, fingerprint=SOURCE.fingerprint(named))
    with pytest.raises(DataError, match=r"other data than when it was first called\n.*seed.*version"):
        SOURCE.read(first)
    declared = spec("changing", version="1")
    assert SOURCE.read(replace(declared, fingerprint=SOURCE.fingerprint(declared))).classes == ("0", "1")


def test_it_may_return_no_test_images() -> None:
    assert SOURCE.read(spec("untested")).test_images.shape == (0, 1, 8, 8)
    assert len(SOURCE.fingerprint(spec("untested"))) == 64


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("unlabelled", {}, "returned no data set"),
        ("forgetful", {}, "returned no data set"),
        ("ragged", {}, "returned no data set: .*inhomogeneous"),
        ("by_name", {}, "returned no data set: it is a dict"),
        ("masked", {}, "values are masked: fill them"),
        ("masked_labels", {}, "values are masked: fill them"),
        ("floats", {}, "train: inputs of type float64"),
        ("leaving", {}, "the function failed: SystemExit: 0"),
        ("failing", {}, r"the function failed: KeyError.*\n  -> .*--debug shows"),
        (
            "lazily",
            {"kind": "float32"},
            r"its inputs are float32 \(4, 1, 8, 8\), and state uint8",
        ),
        ("plain", {"cuont": 3}, "the function failed: TypeError"),
        ("plain", {"classes": 1}, "labels from 0 to 1 of 1 classes"),
    ],
)
def test_what_it_does_wrong_is_said(name: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(DataError, match=why) as caught:
        SOURCE.fingerprint(spec(name, **options))
    assert caught.value.where == "data.options.function"
    assert caught.value.what.startswith(f"{HERE}:{name}")


def test_a_class_whose_name_no_file_can_hold_is_refused() -> None:
    with pytest.raises(DataError, match=r"the name of a class, '\\ud800', is no text"):
        SOURCE.fingerprint(spec("unnameable"))


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (None, "needs a function"),
        ("no_module", "is not of the form"),
        ("no.such.module:f", "cannot import no.such.module"),
        (f"{HERE}:nothing", "has no 'nothing'"),
        (f"{HERE}:HERE", "is no function"),
    ],
)
def test_a_name_that_names_no_function(function: str | None, why: str) -> None:
    options = () if function is None else (("function", function),)
    with pytest.raises(ConfigError, match=why):
        SOURCE.fingerprint(DataSpec("callable", options=options))


def signals(count: int = 4, kind: str = "float32", broken: bool = False) -> tuple[Any, ...]:
    values = np.arange(count * 6, dtype=kind).reshape(count, 2, 3)
    values[-1, 0, 0] = np.nan if broken else 0
    return values, np.arange(count) % 2, values[:2], np.arange(2), "ab"


def test_inputs_of_any_shape_are_split_and_normalised_by_channel() -> None:
    named = replace(spec("signals", count=20), val_fraction=0.2)
    data = prepared(SOURCE.read(named), named)
    assert str(data.inputs) == "float32 (2, 3)"
    seen = data.train.images.double()
    np.testing.assert_allclose(data.mean, seen.mean((0, 2)), rtol=1e-6)
    np.testing.assert_allclose(data.std, seen.std((0, 2), correction=0), rtol=1e-6)
    views = Views(data.train, mean=data.mean, std=data.std, augment="mixup", stream=0, classes=2)
    index = torch.arange(len(data.train))
    assert views.batch(0, index).shape == (16, 2, 3)
    assert torch.equal(seen, data.train.images)  # Normalising changes nothing in place.
    plain = prepared(SOURCE.read(named), replace(named, normalise="none"))
    assert (plain.mean.tolist(), plain.std.tolist()) == ([0, 0], [1, 1])


def test_values_that_are_not_finite_are_refused_with_their_position(tmp_path: Path) -> None:
    named = replace(spec("signals", broken=True), val_fraction=0.0)
    with pytest.raises(DataError, match=r"training input 3, .*the input holds values that are not finite"):
        store(SOURCE.read(named), named, tmp_path / "set")
    assert SOURCE.fingerprint(spec("signals")) != SOURCE.fingerprint(spec("signals", count=6))


@pytest.mark.parametrize("augment", ["crop_flip", "trivial_augment", "cutmix"])
def test_an_augmentation_for_images_is_refused_for_signals(augment: str) -> None:
    named = replace(spec("signals"), val_fraction=0.0)
    data = prepared(SOURCE.read(named), named)
    with pytest.raises(
        ConfigError, match=rf"^data\.augment: {augment} is for .*, not for float32 \(2, 3\)\n.*none"
    ):
        Views(data.train, mean=data.mean, std=data.std, augment=augment, stream=0)
