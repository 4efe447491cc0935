"""Teach nbval nbdev's directives, and say which notebooks' stored outputs are compared, not only run.

nbval runs the notebooks that pytest.ini lists.
"""
import re
from configparser import ConfigParser
from pathlib import Path

# Their outputs are the same on every machine: stored text and tables must come out again. Pictures are not compared.
# What differs from run to run all the same, such as a temporary folder, is masked by tests/nbval.ini.
COMPARED = {
    "index.ipynb",
    "00_concepts.ipynb",
    "01_render.ipynb",
    "02_data.ipynb",
    "06_runs.ipynb",
    "08_emergence.ipynb",
    "10_experiments.ipynb",
    "11_plots.ipynb",
    "13_report.ipynb",
    "course.ipynb",
    "01_order.ipynb",
    "02_multiplicative.ipynb",
    "01_correlated.ipynb",
    "02_digits.ipynb",
    "02_faces.ipynb",
    "02_icons.ipynb",
    "summary.ipynb",
    "05_prediction.ipynb",
    "06_batched.ipynb",
    "fast_preset.ipynb",
    "reading_curves.ipynb",
}

pytest_plugins = ["browser"]  # tests/browser.py
ROOT = Path(__file__).parent
DIRECTIVE = re.compile(r"^#\s*\|\s*([\w-]+)(?::\s*(\S+))?", re.M)


def skipped_flags() -> set[str]:
    """The directives of settings.ini's tst_flags, whose cells nbdev_test leaves out."""
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return set(parser["DEFAULT"]["tst_flags"].split())


def left_out(source: str, flags: set[str]) -> bool:
    """Whether nbdev_test would skip a cell."""
    directives = DIRECTIVE.findall(source)
    return "nbdev_export(" in source or ("eval", "false") in directives or any(name in flags for name, _ in directives)


def pytest_collection_modifyitems(items):
    flags = skipped_flags()
    cells = [item for item in items if hasattr(item, "cell")]
    for notebook in {item.parent for item in cells}:
        notebook.skip_compare += ("stderr",)  # progress bars and warnings
    for item in cells:
        item.options["skip"] = left_out(item.cell.source, flags)
        item.options["check"] = item.path.name in COMPARED and "NBVAL_IGNORE_OUTPUT" not in item.cell.source
        # nbdev_clean drops execution counts, and nbval takes an output without one for a cell that was never run.
        if item.cell.get("outputs") and item.cell.get("execution_count") is None:
            item.cell["execution_count"] = 0
