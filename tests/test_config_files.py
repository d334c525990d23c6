import pytest

from lctr_jax.run.config_files import FOLDER, find_config


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
