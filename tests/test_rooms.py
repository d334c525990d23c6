import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A room may import itself and the rooms named here; ARCHITECTURE.md says why.
ALLOWED = {
    "models": set(),
    "localization": set(),
    "data": set(),
    "checkpoints": {"models"},
    "training": {"models", "checkpoints"},
    "evaluation": {"models", "localization", "data", "training"},
    "report": {"localization", "data", "evaluation"},
    "viewer": {"localization", "data", "report"},
    "exporters": {"models", "checkpoints", "localization"},
}
OUTSIDERS = {"localization": {"jax", "flax", "torch"}, "data": {"jax", "flax", "torch"}, "models": {"torch"}}
TORCH_IS_READ_IN = "torch_files.py"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_every_room_is_listed():
    rooms = {path.parent.name for path in (ROOT / "lctr_jax").glob("*/__init__.py")}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_downward_only(room):
    for path in (ROOT / "lctr_jax" / room).rglob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "lctr_jax" and len(parts) > 1 and parts[1] in ALLOWED:
                assert parts[1] in ALLOWED[room] | {room}, f"{path.relative_to(ROOT)} imports {name}"
            assert parts[0] not in OUTSIDERS.get(room, ()), f"{path.relative_to(ROOT)} imports {name}"


def test_torch_is_imported_in_one_place_and_tensorflow_in_none():
    for path in [*(ROOT / "lctr_jax").rglob("*.py"), *ROOT.glob("*.py"), *(ROOT / "configs").glob("*.py")]:
        packages = {name.split(".")[0] for name in imports(path)}
        assert "tensorflow" not in packages, path
        assert "torch" not in packages or path.name == TORCH_IS_READ_IN, path
