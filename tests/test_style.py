import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_ruff_has_nothing_to_say():
    ruff = subprocess.run([Path(sys.executable).with_name("ruff"), "check", ROOT], capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout + ruff.stderr
