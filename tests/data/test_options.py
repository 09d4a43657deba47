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
from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec, Params
from pdsearch.user_code import Options

KNOWN = Options({"label": str, "test": str})


def spec(**options: object) -> DataSpec:
    return DataSpec("made", options=tuple(sorted(options.items())))


def test_an_unknown_option_is_refused_with_its_place_and_the_known_ones() -> None:
    assert source_options(spec(label="fine"), KNOWN) == {"label": "fine"}
    with pytest.raises(ConfigError, match="its options: none"):
        source_options(spec(size=3), Options())
    with pytest.raises(ConfigError) as caught:
        source_options(spec(label="fine", labl="x"), KNOWN)
    assert caught.value.what == "source 'made' has no option 'labl'"
    assert caught.value.where == "data.options.labl"
    assert caught.value.hint == "its options: label, test"


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
    assert must_be_there(DataSpec("callable", root="/", options=(("function", "mine:images"),)))
