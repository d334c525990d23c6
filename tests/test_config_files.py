import runpy

import pytest

from lctr_jax.run.config import parse_config
from lctr_jax.run.config_files import FOLDER, find_config
from lctr_jax.training.optimizer import REFERENCE_BATCH


def test_the_packages_own_are_found_by_name():
    assert find_config("digits") == FOLDER.resolve() / "digits.py"
    assert {path.stem for path in FOLDER.glob("*.py")} >= {"cub", "digits", "folder", "imagenet"}


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cub").write_text("")
    assert find_config("cub").resolve() == tmp_path / "cub"
    assert find_config(str(tmp_path / "cub")) == tmp_path / "cub"


@pytest.mark.parametrize("given", ["cubs", "cub.py", "configs/cub.py", "../cub", ""])
def test_what_is_neither_is_reported_with_the_names(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"does not exist; configs by name: cub, digits, .*imagenet"):
        find_config(given)


def read_config(name):
    return parse_config(runpy.run_path(str(FOLDER / f"{name}.py"))["get_config"]())


@pytest.mark.parametrize("name", sorted({path.stem for path in FOLDER.glob("*.py")} - {"folder"}))
def test_every_config_is_valid(name):
    """`folder` leaves options open until its images are known."""
    assert read_config(name).spec(num_classes=10).num_classes == 10


def test_trilites_published_rate_on_openimages():
    train = read_config("trilite_openimages").train
    assert train.lr * train.batch_size / REFERENCE_BATCH == pytest.approx(1e-5)
