"""The floors of the house: what may import what, and what needs no torch."""
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH_FREE = ["concepts", "runs", "emergence", "experiments", "sweep", "plots", "stepper", "report"]


def test_modules_import_lower_floors_only():
    lint = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout + lint.stderr


@pytest.mark.parametrize("module", TORCH_FREE)
def test_loads_without_torch(module):
    code = f"import sys, compdiff.{module}; print(*sorted({{'torch', 'diffusers'}} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == [], f"importing compdiff.{module} loads {loaded}"
