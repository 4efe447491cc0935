"""Get nbdev's processed notebooks ready for a renderer: sidebar, reference, links, folded code. Quarto calls this first.

Works in the folder that it is called in, nbdev's _proc, and does nothing to a notebook twice.
"""
import ast
import json
import os
import re
from pathlib import Path

import reference
import yaml

NBS = reference.ROOT / "nbs"
SECTIONS = {  # in reading order: section of the sidebar -> its pages, where a pattern takes those that none before it took
    "The package, chapter by chapter": ["[0-9]*.ipynb"],
    "The paper, figure by figure": ["paper/summary.ipynb", "paper/*.ipynb"],
    "Beyond the paper": ["beyond/summary.ipynb", "beyond/*.ipynb"],
    "Tutorials": [f"tutorials/{name}.ipynb" for name in (
        "tour", "fast_preset", "few_steps", "your_concepts", "your_pictures", "your_model", "many_runs", "reading_curves", "course", "*")],
    "Reference": ["reference/index.qmd", *(f"reference/{module.name}.qmd" for module in reference.modules())],
}
LONG = 30  # lines; a longer definition starts folded
DOCLINK = re.compile(r"\[`([^`]+?)(\(\))?`\]\(https?://[^)\s]*\.html(#[^)\s]*)?\)")


def sidebar(root: Path) -> dict:
    """The site's navigation: the pages that exist, in reading order."""
    start = {"text": "Start", "href": "index.ipynb"}
    contents, left = [start], [start]
    for title, patterns in SECTIONS.items():
        found = dict.fromkeys(path for pattern in patterns for path in sorted(root.glob(pattern)))
        pages = [path.relative_to(root).as_posix() for path in found]
        if pages:
            contents.append({"section": title, "contents": pages})
            left.append({"text": title.split(",")[0], "href": pages[0]})
    return {"website": {"navbar": {"left": left}, "sidebar": {"contents": contents}}}


def exported(notebook: Path) -> set[str]:
    """The ids of a notebook's exported cells."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return {cell["id"] for cell in cells if re.match(r"#\|\s*export", "".join(cell["source"]))}


def definition(cell: dict, places: dict[str, str], up: str) -> list[dict]:
    """An exported cell, folded where it only imports or is long, and links from what it defines to the reference."""
    source = "".join(cell["source"])
    tree = ast.parse(source).body
    imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree)
    names = [name for node in tree for name in reference.bound(node) if name in places]
    if imports or len(source.splitlines()) > LONG:
        summary = "Imports" if imports else f"Definition of {', '.join(names) or 'private helpers'}"
        cell["source"] = f'#| code-fold: true\n#| code-summary: "{summary}"\n{source}'
    if not names: return [cell]
    links = " · ".join(f"[`{name}`]({up}reference/{places[name]})" for name in names)
    source = f"::: {{.defines}}\nReference: {links}\n:::"
    return [cell, {"cell_type": "markdown", "id": f"{cell['id']}-reference", "metadata": {}, "source": source}]


def relinked(text: str, places: dict[str, str], up: str) -> str:
    """nbdev's links from names to their documentation lead to the reference.

    A name that is not shown there has none, and neither has a plain word such as `run`, which may name a column.
    """
    def link(found: re.Match) -> str:
        name, call = found[1], found[2] or ""
        known = name in places and (call or not re.fullmatch("[a-z]+", name))
        return f"[`{name}{call}`]({up}reference/{places[name]})" if known else f"`{name}{call}`"
    return DOCLINK.sub(link, text)


def prepare_notebook(path: Path, root: Path, places: dict[str, str]) -> None:
    """Fold and link one processed notebook, once."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if notebook["metadata"].get("prepared"): return
    up = "../" * (len(path.relative_to(root).parts) - 1)
    code = exported(NBS / path.relative_to(root))
    cells = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown": cell["source"] = relinked(source, places, up)
        if cell.get("id") in code: cells += definition(cell, places, up)
        elif "#| default_exp" not in source: cells.append(cell)
    notebook["cells"], notebook["metadata"]["prepared"] = cells, True
    path.write_text(json.dumps(notebook), encoding="utf-8")


def prepare(root: Path) -> None:
    """Everything that a renderer of the folder needs besides nbdev's own work."""
    places = reference.write(root / "reference")
    for path in root.rglob("*.ipynb"):
        if not path.relative_to(root).parts[0].startswith((".", "_")): prepare_notebook(path, root, places)
    (root / "sidebar.yml").write_text(yaml.safe_dump(sidebar(root), sort_keys=False, allow_unicode=True), encoding="utf-8")


if __name__ == "__main__" and "SMALLDOCS" not in os.environ:  # the stand-in for Quarto has called it already
    prepare(Path.cwd())
