import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lctr_jax"
SHARED = {"host", "options"}  # every package may import these


def read_allowed() -> dict[str, set[str]]:
    """What each package may import, from ARCHITECTURE.md's first table."""
    lines = (ROOT / "ARCHITECTURE.md").read_text().partition("|---")[2].split("\n\n")[0].splitlines()[1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name.strip("`"): set(re.findall(r"`(\w+)`", imported)) for name, _, imported in rows}


ALLOWED = read_allowed()
# The package's root: one module per command, which no other module imports, and what every command needs.
ROOT_MODULES = {"errors", "json_objects", "plugins", "command_line"}
COMMANDS = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", *ROOT_MODULES}
PUBLIC = {"__init__": {"inference", "models"}} | {module: set() for module in ROOT_MODULES}
TORCH, JAX = {"torch"}, {"jax", "flax"}
THIRD_PARTY = {"localization": TORCH | JAX, "data": TORCH | JAX, "models": TORCH}
READS_TORCH = "torch_files.py"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def own_imports(path: Path) -> set[str]:
    """The packages and commands of ours that a file imports."""
    names = [name.split(".") for name in imports(path)]
    own = {name[1] for name in names if name[0] == "lctr_jax" and len(name) > 1}
    return own & (set(ALLOWED) | COMMANDS)


def test_every_package_is_listed():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ALLOWED)


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_downward_only(package):
    for path in (PACKAGE / package).rglob("*.py"):
        assert own_imports(path) <= ALLOWED[package] | SHARED | {package}, path.relative_to(ROOT)
        third_party = {name.split(".")[0] for name in imports(path)}
        assert not third_party & THIRD_PARTY.get(package, set()), path.relative_to(ROOT)


def test_imports_have_no_cycle():
    order: list[str] = []
    while remaining := set(ALLOWED) - set(order):
        ready = {package for package in remaining if ALLOWED[package] <= set(order)}
        assert ready, f"a cycle among {remaining}"
        order += sorted(ready)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_commands_import_packages_and_no_other_command(command):
    assert own_imports(PACKAGE / f"{command}.py") <= set(ALLOWED)


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_the_public_names_come_from_the_packages_allowed(module):
    assert own_imports(PACKAGE / f"{module}.py") <= PUBLIC[module]


def test_torch_is_imported_in_one_place_and_tensorflow_in_none():
    for path in [*PACKAGE.rglob("*.py"), *ROOT.glob("*.py"), *(ROOT / "configs").glob("*.py")]:
        packages = {name.split(".")[0] for name in imports(path)}
        assert "tensorflow" not in packages, path
        assert "torch" not in packages or path.name == READS_TORCH, path
