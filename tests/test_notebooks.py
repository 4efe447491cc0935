"""What every notebook has: an opening, pictures that are described and small, imports that stand alone, no failure."""
import ast
import builtins
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
def test_stores_no_failure(path):
    for _, cell in cells(path):
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error", f"{cell['id']} shows a traceback"


def names(tree: ast.AST) -> tuple[set[str], set[str]]:
    """What a cell binds, and what it reads."""
    bound, read = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return bound, read


@every_notebook
def test_cells_that_import_lean_on_no_other(path):
    """To make the pages, nbdev runs the exported cells and those that import, and no others."""
    known = set(dir(builtins))
    for source, cell in cells(path):
        if cell["cell_type"] != "code" or re.search(r"^#\|\s*eval: false|nbdev_export\(", source, re.M):
            continue
        tree = ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.M))
        bound, read = names(tree)
        exported = re.search(r"^#\|\s*export", source, re.M)
        if not exported and any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree)):
            missing = sorted(read - bound - known)
            assert not missing, f"{cell['id']} imports, and reads {missing} of earlier cells: make it two cells"
            known |= bound
        elif exported:
            known |= bound
