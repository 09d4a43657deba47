"""Options of data sources, and files in a folder for each class."""

from pathlib import Path

import pytest

from pdsearch.data.options import (
    keyed_options,
    lasting_root,
    may_download,
    must_be_there,
    root_of,
    source_options,
)
from pdsearch.data.readers.labelled_files import LabelledFiles, as_set, folders_in, hash_of, images_in
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec, Params
from pdsearch.user_code import Options
from tests.data.layouts import pixels, png

KNOWN = Options({"label": str, "test": str})


def spec(**options: object) -> DataSpec:
    return DataSpec("made", options=tuple(sorted(options.items())))


def test_options_come_by_name_and_none_is_invented() -> None:
    assert source_options(spec(label="fine", test="b"), KNOWN) == {"label": "fine", "test": "b"}
    assert source_options(spec(), KNOWN) == {}


def test_an_unknown_option_is_refused_with_its_place_and_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        source_options(spec(label="fine", labl="x"), KNOWN)
    assert caught.value.what == "source 'made' has no option 'labl'"
    assert caught.value.where == "data.options.labl"
    assert caught.value.hint == "its options: label, test"


def test_a_source_without_options_says_so() -> None:
    with pytest.raises(ConfigError, match="its options: none"):
        source_options(spec(size=3), Options())


def test_a_download_is_allowed_unless_it_is_forbidden() -> None:
    assert may_download(spec())
    assert not may_download(spec(download=False))
    assert may_download(spec(download=True))
    for wrong in (0, "false"):
        with pytest.raises(ConfigError, match="true or false"):
            may_download(spec(download=wrong))


def test_what_says_where_a_set_comes_from_is_not_keyed() -> None:
    assert keyed_options((("download", False), ("label", "fine"))) == (("label", "fine"),)


def test_a_root_is_needed_and_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert root_of(DataSpec("made", root="~/sets")) == tmp_path / "sets"
    with pytest.raises(ConfigError, match=r"^~nobody_of_this_name/x: ~nobody_of_this_name is no user's home"):
        root_of(DataSpec("made", root="~nobody_of_this_name/x"))
    with pytest.raises(ConfigError, match="made needs a folder"):
        root_of(spec())


def test_a_root_means_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lasting_root(DataSpec("cifar10")) is None
    assert lasting_root(DataSpec("cifar10", root="to/come")) == f"{tmp_path}/to/come"
    for whole in ("/data", "~/data", "s3://bucket/data"):
        assert lasting_root(DataSpec("cifar10", root=whole)) == whole


def test_a_word_for_one_s_own_function_stays_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lasting_root(DataSpec("callable", root="small")) == "small"
    (tmp_path / "small").mkdir()
    assert lasting_root(DataSpec("callable", root="small")) == f"{tmp_path}/small"


@pytest.mark.parametrize(
    ("source", "options", "expected"),
    [
        ("parquet", (), True),
        ("image_folder", (), True),
        ("image_folder", (("image_size", 8),), True),
        ("tiny_imagenet", (), True),
        ("cifar10", (), False),
        ("cifar10", (("download", False),), True),
        ("callable", (("function", "mine:images"),), False),
    ],
)
def test_what_nothing_fetches_must_be_there(source: str, options: Params, expected: bool) -> None:
    assert must_be_there(DataSpec(source, root="some/folder", options=options)) is expected
    assert not must_be_there(DataSpec(source, options=options))


def test_a_folder_for_a_function_must_be_there_too(tmp_path: Path) -> None:
    assert must_be_there(DataSpec("callable", root=str(tmp_path), options=(("function", "mine:images"),)))


@pytest.fixture
def files(tmp_path: Path) -> LabelledFiles:
    for name, image in zip("ab", pixels(2, 3, 8), strict=True):
        (tmp_path / f"{name}.png").write_bytes(png(image))
    return LabelledFiles((tmp_path / "a.png", tmp_path / "b.png"), ("dog", "cat"))


def test_listings_are_sorted_and_complete(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    for name in ("2.JPG", "1.png", ".3.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in folders_in(tmp_path, "hint")] == ["a", "b"]
    assert [path.name for path in images_in(tmp_path, "hint")] == ["1.png", "2.JPG"]
    for listed in (folders_in, images_in):
        with pytest.raises(DataError, match="hint"):
            listed(tmp_path / "a", "hint")
        with pytest.raises(DataError, match="no readable folder"):
            listed(tmp_path / "missing", "hint")


def test_labels_follow_the_order_of_the_classes(files: LabelledFiles) -> None:
    raw = as_set(files, files, ["cat", "dog"], None)
    assert raw.train_labels.tolist() == [1, 0]
    assert raw.classes == ("cat", "dog")


def test_the_hash_knows_content_class_part_and_place(files: LabelledFiles, tmp_path: Path) -> None:
    turned = LabelledFiles(files.files, files.classes[::-1])
    halves = [LabelledFiles(files.files[i : i + 1], files.classes[i : i + 1]) for i in (0, 1)]
    found = [hash_of(tmp_path, parts) for parts in ([files], [turned], halves, [files, files])]
    (tmp_path / "a.png").write_bytes(b"other")
    found.append(hash_of(tmp_path, [files]))
    assert len(set(found)) == len(found)
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        hash_of(tmp_path, [files])
