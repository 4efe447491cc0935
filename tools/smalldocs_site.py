"""Render a folder of processed notebooks with smalldocs, and add what it lacks beside Quarto.

Before: pages lose the number of their notebook, figures and equations are numbered and linked, as Quarto does.
After: formulas become MathML, and nothing asks another server for fonts or scripts.
"""
import json
import re
import subprocess
from html import unescape
from pathlib import Path

from latex2mathml.converter import convert

EQUATION = re.compile(r"\$\$(.*?)\$\$\s*\{#(eq-[\w-]+)\}", re.S)
LABEL = re.compile(r"^#\|\s*label:\s*((?:fig|tbl)-[\w-]+)", re.M)
CAPTION = re.compile(r"^(#\|\s*(?:fig|tbl)-cap:\s*[\"']?)", re.M)
REFERENCE = re.compile(r"(?<![\w/@`])@((fig|tbl|eq)-[\w-]+)")
KINDS = {"fig": "Figure", "tbl": "Table", "eq": "Equation"}
MATHS = re.compile(r'<span class="math (inline|display)">(.*?)</span>', re.S)
NUMBER = re.compile(r"\\tag\{(\d+)\}")
OUTSIDE = re.compile(r"<(?:script|link)\b[^>]*katex[^>]*>(?:</script>)?", re.I)
ICON = re.compile(r'(<i class="bi[^"]*") role="img">')
FONTS = re.compile(r"@import url\([^)]*//[^)]*\);?")


def numbered(cells: list[dict]) -> None:
    """Number figures, tables and equations in the order of the page, and link `@fig-x` and `@eq-x` to them."""
    numbers: dict[str, int] = {}

    def number(label: str) -> int:
        kind = label.split("-")[0]
        return numbers.setdefault(label, 1 + sum(other.split("-")[0] == kind for other in numbers))

    def link(found: re.Match) -> str:
        label, kind = found[1], found[2]
        return f"[{KINDS[kind]} {numbers[label]}](#{label})" if label in numbers else found[0]

    equation = lambda found: f"[]{{#{found[2]}}}\n\n$$ {found[1].strip()} \\tag{{{number(found[2])}}} $$"
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown": source = EQUATION.sub(equation, source)
        elif label := LABEL.search(source):
            kind = label[1].split("-")[0]
            source = CAPTION.sub(rf"\g<1>{KINDS[kind]} {number(label[1])}: ", source)
        cell["source"] = source
    for cell in cells:
        if cell["cell_type"] == "markdown": cell["source"] = REFERENCE.sub(link, cell["source"])


def unnumbered(name: str) -> str:
    """A page's name without the number of its notebook: 00_concepts -> concepts."""
    return re.sub(r"(^|/)\d+\w*?_(?=[^/]*$)", r"\1", name)


def before(root: Path) -> None:
    """Numbers, references, and names without their floors, in notebooks, reference and sidebar."""
    notebooks = [path for path in root.rglob("*.ipynb") if not path.relative_to(root).parts[0].startswith((".", "_"))]
    rename = lambda text: re.sub(r"[\w./-]+\.ipynb", lambda found: unnumbered(found[0]), text)
    for path in notebooks:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        numbered(notebook["cells"])
        for cell in notebook["cells"]:
            if cell["cell_type"] == "raw": cell["source"] = re.sub(r"^output-file:.*\n", "", "".join(cell["source"]), flags=re.M)
            elif cell["cell_type"] == "markdown": cell["source"] = rename(cell["source"])
            for data in (output["data"] for output in cell.get("outputs", []) if "text/markdown" in output.get("data", {})):
                data["text/markdown"] = rename("".join(data["text/markdown"]))
        path.write_text(json.dumps(notebook), encoding="utf-8")
        path.rename(path.with_name(unnumbered(path.name)))
    for path in [root / "sidebar.yml", *root.glob("reference/*.qmd")]:
        path.write_text(rename(path.read_text(encoding="utf-8")), encoding="utf-8")


def mathml(found: re.Match) -> str:
    """One formula in MathML; its number, where it has one, stands beside it."""
    formula, display = unescape(found[2])[2:-2], found[1] == "display"
    tag = NUMBER.search(formula)
    maths = convert(NUMBER.sub("", formula).strip(), display="block" if display else "inline")
    number = f'<span class="equation-number">({tag[1]})</span>' if tag else ""
    return f'<span class="equation">{maths}{number}</span>' if display else maths


def after(site: Path) -> None:
    """Formulas in MathML, no request to another server, and icons that are not read out, since words stand beside them."""
    for path in site.rglob("*.html"):
        text = OUTSIDE.sub("", MATHS.sub(mathml, path.read_text(encoding="utf-8")))
        path.write_text(ICON.sub(r'\1 aria-hidden="true">', text), encoding="utf-8")
    for path in site.rglob("*.css"):
        path.write_text(FONTS.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")


def render(root: Path) -> None:
    before(root)
    subprocess.run(["smalldocs", "render", root], check=True)
    after(root / "_docs")
