"""Write README.md from nbs/index.ipynb. Pictures among the outputs go to README_files/. Needs nothing but Python."""
import base64
import json
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(\]\()(?!\w+:|#)([^)\s]+)(\))")
DIRECTIVE = re.compile(r"^#\|.*\n?", re.M)


def relink(markdown: str) -> str:
    """Links are relative to nbs/ in the notebook and to the top level in the README."""
    return LINK.sub(lambda found: found[1] + posixpath.normpath(f"nbs/{found[2]}") + found[3], markdown)


def picture(png: str, name: str, alt: str) -> str:
    """Store a picture and return the Markdown that shows it."""
    path = ROOT / "README_files" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(base64.b64decode(png))
    return f"![{alt}]({path.relative_to(ROOT)})"


def shown(output: dict, name: str, alt: str) -> str:
    """One output as Markdown: its own Markdown, else its picture, else its text, indented."""
    data = output.get("data", {})
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    if "image/png" in data:
        return picture("".join(data["image/png"]), name, alt)
    text = "".join(output.get("text") or data.get("text/plain", []))
    if text.startswith("<IPython"):  # what only a page can show
        return ""
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def blocks(cell: dict):
    """The pieces of Markdown that a cell becomes."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield relink(source)
    elif not re.search(r"^#\|\s*hide\b", source, re.M):
        if not re.search(r"^#\|\s*echo:\s*false", source, re.M):
            yield f"```python\n{DIRECTIVE.sub('', source).strip()}\n```"
        alt = re.search(r'^#\|\s*fig-alt:\s*"?(.*?)"?$', source, re.M)
        for number, output in enumerate(cell["outputs"]):
            yield shown(output, f"{cell['id']}-{number}", alt[1] if alt else "")


def main():
    notebook = json.loads((ROOT / "nbs" / "index.ipynb").read_text(encoding="utf-8"))
    pieces = [block.strip("\n") for cell in notebook["cells"] for block in blocks(cell)]
    note = "<!-- Made from nbs/index.ipynb by tools/readme.py: edit the notebook. -->"
    text = "\n\n".join([note, *filter(None, pieces)]) + "\n"
    text = text.replace("```\n\n```python\n", "\n")  # code cells with nothing in between read as one
    (ROOT / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
