"""The benchmark's one command works, in sizes too small to mean anything."""
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, ROOT / "benchmarks" / "run.py", "--quick", "--only", "render", "together", "cuda", "--out"]


def test_quick_benchmark_writes_both_files(tmp_path):
    subprocess.run([*COMMAND, tmp_path], capture_output=True, check=True, cwd=ROOT)
    result = json.loads((tmp_path / "results.json").read_text())
    page = (tmp_path / "RESULTS.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["RESULTS.md", "results.json"]
    assert {one["benchmark"] for one in result["rows"]} == {"peak", "render", "together", "cuda"}
    for one in result["rows"]:
        assert not one["repeats"] or 0 < one["min"] <= one["median"] <= one["max"]
        assert f"| {one['benchmark']} | {one['what']} |" in page
