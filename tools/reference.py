"""Write the reference, one page a module, from the package's own text: signatures, docments, errors, lines of code.

Nothing is imported: what a page says is what stands in compdiff/*.py, with the types as they are written there.
"""
import ast
import re
import tokenize
from configparser import ConfigParser
from io import StringIO
from pathlib import Path
from textwrap import shorten

ROOT = Path(__file__).resolve().parents[1]
PAPER = "https://arxiv.org/abs/2310.09336"
WIDE = 88  # characters; a longer signature has a line a parameter
Function = ast.FunctionDef | ast.AsyncFunctionDef


def settings() -> dict:
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(parser["DEFAULT"])


class Module:
    """One file of the package, its comments by line, and the notebook it is made from."""

    def __init__(self, path: Path):
        self.path, self.text = path.relative_to(ROOT), path.read_text(encoding="utf-8")
        self.name = ".".join(self.path.with_suffix("").parts[1:])
        self.tree, self.lines = ast.parse(self.text), self.text.splitlines()
        tokens = tokenize.generate_tokens(StringIO(self.text).readline)
        self.comments = {one.start[0]: one.string.lstrip("# ") for one in tokens if one.type == tokenize.COMMENT}
        self.notebook = re.search(r"File to edit: (?:\.\./)+nbs/(\S+\.ipynb)", self.text)[1]
        self.doc = ast.get_docstring(self.tree) or ""
        self.places = {name: node for node in self.tree.body for name in bound(node)}
        exported = ast.literal_eval(self.places["__all__"].value)
        self.public = [name for name in self.places if name in exported]  # in the order of the file


def bound(node: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(node, Function | ast.ClassDef): return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    names = [name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return [name.id for name in names if isinstance(name.ctx, ast.Store)]


def modules() -> list[Module]:
    """The package's modules, in the order of their notebooks."""
    found = [Module(path) for path in (ROOT / "compdiff").rglob("*.py") if not path.name.startswith("_")]
    return sorted(found, key=lambda module: module.notebook)


def parameters(node: Function) -> list[tuple[str, ast.arg, ast.expr | None]]:
    """Name with its stars, argument and default of each parameter but self."""
    spec = node.args
    plain = spec.posonlyargs + spec.args
    defaults = [None] * (len(plain) - len(spec.defaults)) + spec.defaults
    rows = [(one.arg, one, default) for one, default in zip(plain, defaults)]
    rows += [(f"*{spec.vararg.arg}", spec.vararg, None)] if spec.vararg else []
    rows += [(one.arg, one, default) for one, default in zip(spec.kwonlyargs, spec.kw_defaults)]
    rows += [(f"**{spec.kwarg.arg}", spec.kwarg, None)] if spec.kwarg else []
    return rows[1:] if rows and rows[0][0] in ("self", "cls") else rows


def rows_of(node, module: Module) -> list[tuple[str, str, str | None, str]]:
    """Name, type, default and docment of each parameter, or of each field of a class that has fields."""
    if isinstance(node, ast.ClassDef):
        start = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
        fields = [(one.target.id, one, one.value) for one in node.body if isinstance(one, ast.AnnAssign)]
        if not fields: return rows_of(start, module) if start else []
    else: fields = parameters(node)
    returned = getattr(node, "returns", None) and node.returns.end_lineno  # a comment there is of what is returned
    rows = []
    for name, one, default in fields:
        places = [part.end_lineno for part in (default, one) if part and part.end_lineno != returned]
        kind, what = plain(one.annotation), next((module.comments[line] for line in places if line in module.comments), "")
        rows.append((name, kind[0], ast.unparse(default) if default else None, what or kind[1]))
    return rows


def plain(annotation: ast.expr | None) -> tuple[str, str]:
    """A type as it is written; of a command's option, the type and its help."""
    text = ast.unparse(annotation) if annotation else ""
    if not text.startswith("Annotated[") or "typer." not in text: return text, ""
    kind, option = annotation.slice.elts
    said = next((ast.literal_eval(one.value) for one in option.keywords if one.arg == "help"), "")
    return ast.unparse(kind), said


def signature(node, name: str, module: Module) -> str:
    """The call, on one line where it fits; the fields that stand in a class's table are not repeated."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        call = f"class {name}({bases})" if bases else f"class {name}"
        if bases or any(isinstance(one, ast.AnnAssign) for one in node.body): return call
    kinds = {ast.unparse(one).split(".")[-1] for one in node.decorator_list}
    if kinds & {"property", "cached_property"}: return f"{name} -> {ast.unparse(node.returns)}" if node.returns else name
    typed = lambda label, kind, default, _: label + (f": {kind}" if kind else "") + (f" = {default}" if default else "")
    parts = [typed(*row) for row in rows_of(node, module)]
    if isinstance(node, Function) and node.args.kwonlyargs and not node.args.vararg:
        parts.insert(len(parts) - len(node.args.kwonlyargs) - bool(node.args.kwarg), "*")
    tail = f" -> {ast.unparse(node.returns)}" if getattr(node, "returns", None) else ""
    line = f"{name}({', '.join(parts)}){tail}"
    return line if len(line) <= WIDE else f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){tail}"


def prose(text: str) -> str:
    """Text of a docstring or a comment as Markdown: what is code stays code, the paper is a link, the rest means itself."""
    pieces = re.split(r"(`[^`]+`)", text)
    pieces[::2] = [re.sub(r"([\\*_<>^~$|\[\]#@{}])", r"\\\1", piece) for piece in pieces[::2]]
    return re.sub(r"\bpaper (?=(sec|eq|fig|app|tab)\b)", f"[paper]({PAPER}) ", "".join(pieces))


def code_cell(text: str) -> str:
    """Code in a cell of a table."""
    return f"`{text}`".replace("|", r"\|") if text else ""


def table(node, module: Module) -> str:
    """The docments: parameter, type, default, what it is; and what comes back."""
    lines = [f"| `{name}` | {code_cell(kind)} | {code_cell(default) or 'required'} | {prose(what)} |"
             for name, kind, default, what in rows_of(node, module)]
    if isinstance(node, Function) and node.returns and ast.unparse(node.returns) != "None":
        what = module.comments.get(node.returns.end_lineno, "")
        if lines or what: lines.append(f"| *returns* | {code_cell(ast.unparse(node.returns))} | | {prose(what)} |")
    return "\n".join(["| Parameter | Type | Default | What |", "| --- | --- | --- | --- |", *lines]) if lines else ""


def errors(node, module: Module, seen: frozenset = frozenset()) -> list[tuple[str, str]]:
    """Kind and message of each error that a definition raises, itself or in private helpers of its module."""
    found, private = [], [node]
    if isinstance(node, ast.ClassDef):  # what its construction checks; public methods speak for themselves
        private = [one for one in node.body if isinstance(one, Function) and one.name.startswith("_")]
    for one in (inner for part in private for inner in ast.walk(part)):
        if isinstance(one, ast.Raise) and isinstance(one.exc, ast.Call) and one.exc.args:
            message = ast.unparse(one.exc.args[0]).removeprefix("f").strip("'\"").replace("self.", "").replace("!r}", "}")
            message = re.sub(r"\{did_you_mean\([^}]*\)\}", "; did you mean ...?", message)
            found.append((ast.unparse(one.exc.func), message))
        elif isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id.startswith("_"):
            helper = module.places.get(one.func.id)
            if helper is not None and helper not in seen: found += errors(helper, module, seen | {node, helper})
    return list(dict.fromkeys(found))


def shown(message: str) -> bool:
    """Whether an error's message is text of its own, not only a variable."""
    return bool(re.sub(r"\{[^}]*\}", "", message).strip(" :"))


def methods(node: ast.ClassDef) -> list[Function]:
    """The public methods and properties of a class, and the special ones that say what they do."""
    found = [one for one in node.body if isinstance(one, Function)]
    return [one for one in found if not one.name.startswith("_") or one.name.startswith("__") and ast.get_docstring(one)]


def entry(node, name: str, module: Module, level: int, link: str) -> list[str]:
    """One public name: heading, link to the code, signature, what it does, docments, errors; then its public methods."""
    raised = [f"- `{kind}`: `` {message} ``" for kind, message in errors(node, module) if shown(message)]
    out = [f"{'#' * level} {name} {{#{name}}}",
           f"[code]({link}#L{node.lineno}){{.code-link}}",
           f"```python\n{signature(node, name.split('.')[-1], module)}\n```",
           prose(ast.get_docstring(node) or ""), table(node, module),
           "**Errors**\n\n" + "\n".join(raised) if raised else ""]
    for one in methods(node) if isinstance(node, ast.ClassDef) else []:
        out += entry(one, f"{name}.{one.name}", module, level + 1, link)
    return [piece for piece in out if piece]


def value(name: str, module: Module, link: str) -> list[str]:
    """A public name that is no function and no class: the lines that define it, the first six of them."""
    node = module.places[name]
    lines = module.lines[node.lineno - 1:node.end_lineno]
    text = "\n".join(lines[:6] + ["..."] * (len(lines) > 6))
    return [f"## {name} {{#{name}}}", f"[code]({link}#L{node.lineno}){{.code-link}}", f"```python\n{text}\n```"]


def page(module: Module, url: str) -> str:
    """The page of a module."""
    link = f"{url}/{module.path.as_posix()}"
    out = [f'---\ntitle: "compdiff.{module.name}"\ndescription: "{module.doc}"\n---',
           "::: {.reference}", f"Explained, shown and tested in [{module.name}](../{module.notebook})."]
    for name in module.public:
        node = module.places[name]
        out += entry(node, name, module, 2, link) if isinstance(node, Function | ast.ClassDef) else value(name, module, link)
    return "\n\n".join([*out, ":::"]) + "\n"


def overview(found: list[Module]) -> str:
    """The first page: every public name in one line."""
    out = ['---\ntitle: "All names"\ndescription: "Every public name of the package, from its docstring."\n---']
    for module in found:
        lines = ["| Name | What |", "| --- | --- |"]
        for name in module.public:
            node = module.places[name]
            doc = ast.get_docstring(node) if isinstance(node, Function | ast.ClassDef) else module.comments.get(node.lineno)
            what = prose(doc.split("\n")[0]) if doc else code_cell(shorten(ast.unparse(node.value), 80, placeholder=" …"))
            lines.append(f"| [`{name}`]({module.name}.qmd#{name}) | {what} |")
        out += [f"## [compdiff.{module.name}]({module.name}.qmd) {{#{module.name}}}", prose(module.doc), "\n".join(lines)]
    return "\n\n".join(out) + "\n"


def places(found: list[Module]) -> dict[str, str]:
    """Page and anchor of every name that the reference shows, by the name as text writes it: `split`, `concepts.split`."""
    out = {}
    for module in found:
        inner = [f"{name}.{one.name}" for name in module.public if isinstance(module.places[name], ast.ClassDef)
                 for one in methods(module.places[name])]
        for name in module.public + inner:
            out |= {key: f"{module.name}.html#{name}" for key in (name, f"{module.name}.{name}", f"compdiff.{module.name}.{name}")}
    return out


def write(folder: Path) -> dict[str, str]:
    """Write the pages into a folder, and say where each name is."""
    found, stated = modules(), settings()
    folder.mkdir(exist_ok=True)
    (folder / "index.qmd").write_text(overview(found), encoding="utf-8")
    for module in found:
        text = page(module, f"{stated['git_url']}/blob/{stated['branch']}")
        (folder / f"{module.name}.qmd").write_text(text, encoding="utf-8")
    return places(found)
