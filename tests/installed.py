"""An environment with the installed wheel and without the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build_wheel(folder: Path) -> Path:
    """Build the wheel through the source archive from a copy, because building leaves files behind."""
    names = ("lctr_jax", "configs", "pyproject.toml", "README.md", "LICENSE", "requirements.txt")
    (folder / "source").mkdir()
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / "source" / name)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist")]
    done = subprocess.run([*build, str(folder / "source")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((folder / "dist").glob("*.whl"))


class Environment:
    """A virtual environment with the wheel; its requirements come from the tests' environment."""

    def __init__(self, folder: Path, wheel: Path):
        self.folder = folder
        venv.create(folder, with_pip=False)
        self.packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
        subprocess.run([*install, "--no-deps", "--no-index", "-q", str(wheel)], check=True)
        (self.packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(self, *command: str, cwd: Path, timeout: float = 120) -> str:
        """Run a command of the environment's and return what it printed."""
        variables = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        variables.pop("PYTHONPATH", None)
        program = self.folder / "bin" / command[0]
        done = subprocess.run(
            [program, *command[1:]],
            cwd=cwd,
            env=variables,
            timeout=timeout,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
