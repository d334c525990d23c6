"""The wheel: its contents, and that it works without the checkout."""

import json
import os
import tomllib
import zipfile

import installed
import pytest
from installed import ROOT

import lctr_jax

pytest.importorskip("build", reason="the wheel is built by `build`")

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
HELP = """
import contextlib, io, json, runpy, sys
said = {}
for script in sys.argv[1:]:
    sys.argv, out = [script, "--help"], io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    said[script] = out.getvalue()
print(json.dumps(said))
"""
BASE_ONLY = """
import importlib, json, pkgutil, sys
EXTRAS = (
    "equinox fastapi gradio huggingface_hub jax2onnx mlflow onnx onnxruntime pillow_heif pix "
    "starlette tensorboard torch torchvision wandb"
).split()
class Absent:  # as where no extra is installed: tensorboardX takes torch where it can
    def find_spec(self, name, *_):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import lctr_jax
for module in pkgutil.walk_packages(lctr_jax.__path__, "lctr_jax."):
    importlib.import_module(module.name)
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return installed.build_wheel(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    return installed.Environment(tmp_path_factory.mktemp("installed"), wheel)


def test_the_wheel_holds_the_package_and_its_configs_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert sum(entry.file_size for entry in archive.infolist()) < 2_300_000
    checkout = (ROOT / "lctr_jax").rglob("*.py")
    configs = (f"lctr_jax/configs/{path.name}" for path in (ROOT / "configs").iterdir() if path.is_file())
    templates = (ROOT / "lctr_jax").glob("*/templates/*")
    expected = {path.relative_to(ROOT).as_posix() for path in (*checkout, *templates)} | set(configs)
    assert names == expected


def test_an_installed_package_is_the_wheels_and_tells_its_version(environment, tmp_path):
    code = "import importlib.metadata as m, lctr_jax as l; print(l.__file__, m.version('lctr_jax'))"
    file, version = environment.run("python", "-c", code, cwd=tmp_path).split()
    assert file.startswith(str(environment.folder))
    assert version == lctr_jax.__version__


def test_every_console_script_tells_its_usage(environment, tmp_path):
    """All in one process, since each would import the package again."""
    scripts = {name: environment.folder / "bin" / name for name in SCRIPTS}
    said = json.loads(environment.run("python", "-c", HELP, *map(str, scripts.values()), cwd=tmp_path))
    for name, file in scripts.items():
        assert os.access(file, os.X_OK), name
        assert file.read_text().startswith(f"#!{environment.folder}/bin/python"), name
        assert "usage: " in said[str(file)], name


@pytest.mark.slow
def test_all_of_it_is_importable_without_torch_and_tensorflow(environment, tmp_path):
    imported = json.loads(environment.run("python", "-c", BASE_ONLY, cwd=tmp_path).splitlines()[-1])
    assert "tensorflow" not in imported
    assert {"lctr_jax.training.loop", "lctr_jax.predict", "lctr_jax.exporters.stablehlo"} <= set(imported)


def test_a_config_of_the_package_is_found_by_name(environment, tmp_path):
    code = "from lctr_jax.run.config_files import find_config; print(find_config('digits'))"
    found = environment.run("python", "-c", code, cwd=tmp_path).strip()
    assert found == str((environment.packages / "lctr_jax/configs/digits.py").resolve())
