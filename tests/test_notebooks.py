"""What every notebook has: an opening, pictures that are described and small, no failure."""
import json
import re
from pathlib import Path

import pytest

NBS = Path(__file__).parents[1] / "nbs"
NOTEBOOKS = sorted(path for path in NBS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(NBS)))


def cells(path: Path) -> list[tuple[str, dict]]:
    """Each cell's source, and the cell."""
    return [("".join(cell["source"]), cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


@every_notebook
def test_opens_with_its_name_and_purpose(path):
    opening, cell = cells(path)[0]
    assert cell["cell_type"] == "markdown"
    assert re.match(r"# .+\n> .+", opening), "the first cell is '# name' and, on the next line, '> one line of purpose'"


@every_notebook
def test_pictures_are_described_and_under_200_kb(path):
    for source, cell in cells(path):
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                assert re.search(r"^#\|\s*fig-alt:", source, re.M), f"a picture without fig-alt: {cell['id']}"
                assert len("".join(picture)) * 3 / 4 < 200_000, f"a picture over 200 kB: {cell['id']}"


@every_notebook
def test_stores_no_failure_and_no_warning(path):
    for _, cell in cells(path):
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error", f"{cell['id']} shows a traceback"
            assert output.get("name") != "stderr", f"{cell['id']} shows a warning"
