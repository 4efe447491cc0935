"""Package, notebooks and README are in step: making them again changes no file. Done in a copy, never in the tree."""
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ["nbs", "compdiff", "tools", "README_files", "README.md", "settings.ini", "setup.py", "_quarto.yml"]
BIN = Path(sys.executable).parent
STEPS = [[BIN / "nbdev_export"], [BIN / "nbdev_clean"], [sys.executable, "tools/readme.py"]]
LEFT_BY_USE = shutil.ignore_patterns("__pycache__", ".*", "runs", "sidebar.yml")


def copy_tree(folder: Path):
    for part in map(ROOT.joinpath, PARTS):
        if part.is_dir():
            shutil.copytree(part, folder / part.name, symlinks=True, ignore=LEFT_BY_USE)
        elif part.exists():
            shutil.copy(part, folder)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != ".last_checked"}


def test_generating_again_changes_nothing(tmp_path):
    copy_tree(tmp_path)
    before = contents(tmp_path)
    for step in STEPS:
        done = subprocess.run(step, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    after = contents(tmp_path)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    assert changed == [], "run `make export` and commit: these files are behind their notebooks"
