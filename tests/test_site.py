"""The whole site, built once, page by page: links, pictures, formulas, reference. And the tools that build it.

SITE=folder checks a site that is already there, such as the one that Quarto rendered, in place of building one.
"""
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from browser import barriers, complaints
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_generated import ROOT, copy_tree

sys.path.insert(0, str(ROOT / "tools"))
import pages  # noqa: E402
import reference  # noqa: E402
import smalldocs_site  # noqa: E402

FORMS = "tutorials/zz_forms.html"
SCRIPT = """<div id="live"></div><script type="application/json">{"a": "</p> $1$ @fig-one"}</script>
<script type="module">let b = 1 < 2;</script>"""
OUTSIDE = re.compile(r"^(https?:)?//")


def forms() -> nbformat.NotebookNode:
    """A notebook with each form of Quarto's that a notebook may use."""
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    cells = [
        new_markdown_cell("# Forms\n> Every form that a page may use."),
        new_markdown_cell("::: {.callout-note}\n## Mind\nA *callout*.\n:::"),
        new_markdown_cell("See @fig-one and @eq-one; `split()`, the column `split`, and $a < b$."),
        new_markdown_cell(r"$$\frac{a}{b}$$ {#eq-one}"),
        new_code_cell('#| label: fig-one\n#| fig-cap: "A dot"\n#| fig-alt: "One dot"\ndot',
                      outputs=[new_output("display_data", {"image/png": dot})]),
        new_code_cell('#| code-fold: true\n#| code-summary: "Folded"\nlive', outputs=[new_output("display_data", {"text/html": SCRIPT})]),
        new_code_cell("table", outputs=[new_output("display_data", {"text/markdown": "[chapter](../00_concepts.ipynb)"})]),
        new_code_cell("#| hide\nnever_seen"),
    ]
    return new_notebook(cells=cells)


def computed() -> float:
    """Seconds that processes started here have computed: a busy machine makes them wait, but not compute."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def build(folder: Path) -> Path:
    """The site of this tree, and of a page with every form, as built where there is no Quarto."""
    copy_tree(folder)
    nbformat.write(forms(), folder / "nbs" / FORMS.replace(".html", ".ipynb"))
    path = os.pathsep.join([str(folder / "tools"), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    start = computed()
    done = subprocess.run(["nbdev_docs"], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert computed() - start < 180
    return folder / "_docs"


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    return ROOT / os.environ["SITE"] if "SITE" in os.environ else build(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def soups(site) -> dict[str, BeautifulSoup]:
    return {str(path.relative_to(site)): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in site.rglob("*.html")}


@pytest.fixture
def forms_page(soups) -> BeautifulSoup:
    if FORMS not in soups: pytest.skip("this site was built without the page of forms")
    return soups[FORMS]


def test_site_is_under_30_mb(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 30e6


def test_every_notebook_and_module_has_a_page(soups):
    notebooks = [path.relative_to(pages.NBS) for path in pages.NBS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    wanted = {smalldocs_site.unnumbered(str(path)).replace(".ipynb", ".html") for path in notebooks}
    wanted |= {f"reference/{module.name}.html" for module in reference.modules()}
    assert wanted <= soups.keys()


def target(page: str, href: str) -> tuple[str, str]:
    """File and anchor that a link on a page leads to."""
    parts = urlsplit(href)
    path = os.path.normpath(os.path.join(os.path.dirname(page), unquote(parts.path))) if parts.path else page
    return path, unquote(parts.fragment)


def dead(page: str, href: str, site: Path, anchors: dict[str, set[str]]) -> bool:
    """Whether a link leads nowhere: to a page, an anchor, or a file of the repository that is not there."""
    stated = reference.settings()
    code = re.match(f"{stated['git_url']}/blob/{stated['branch']}/([^#]*)", href)
    if code: return not (ROOT / code[1]).exists()
    if href.startswith(f"{stated['doc_host']}{stated['doc_baseurl']}"): return True  # a page of this site is linked to as such
    if OUTSIDE.match(href) or href.startswith(("mailto:", "data:", "javascript:")) or href in ("", "#"): return False
    path, anchor = target(page, href)
    if (site / path).is_dir(): path = f"{path}/index.html"
    return not (site / path).is_file() or bool(anchor) and path.endswith(".html") and anchor not in anchors[path]


def test_no_link_is_dead(site, soups):
    anchors = {page: {tag["id"] for tag in soup.find_all(id=True)} for page, soup in soups.items()}
    links = [(page, tag["href"]) for page, soup in soups.items() for tag in soup.find_all("a", href=True)]
    assert len(links) > 1000
    assert [link for link in links if dead(*link, site, anchors)] == []


def test_no_page_shows_a_failure(soups):
    assert [page for page, soup in soups.items() if "Traceback (most recent call last)" in soup.find("main").get_text()] == []


def test_no_page_shows_what_only_a_renderer_should_read(soups):
    for page, soup in soups.items():
        words = [text for text in soup.find("main").find_all(string=True) if not text.find_parent(["code", "script", "style"])]
        raw = re.search(r"^\s*:::|\$\$|@(fig|eq|tbl)-\w|^#\|", "".join(words), re.M)
        assert not raw, f"{page}: {raw[0]!r} as text"


def test_every_picture_is_described(soups):
    pictures = [(page, tag) for page, soup in soups.items() for tag in soup.find("main").find_all("img")]
    assert len(pictures) > 20
    assert [(page, str(tag)[:80]) for page, tag in pictures if not tag.get("alt", "").strip()] == []


def test_no_page_asks_another_server(site, soups):
    for page, soup in soups.items():
        wanted = [tag.get("src") or tag.get("href") for tag in soup.find_all(["script", "img", "iframe", "link"])
                  if tag.name != "link" or "canonical" not in tag.get("rel", [])]
        assert [one for one in wanted if one and OUTSIDE.match(one)] == [], page
    for path in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"'(]*(https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_page_says_what_to_read_next(soups):
    last = [page for page, soup in soups.items() if not soup.select(".nav-page-next a")]
    assert len(last) == 1, last  # the last of the reference


def test_navigation_follows_the_reading_order(soups):
    menu = soups["index.html"].select("#quarto-sidebar .sidebar-item-text, #quarto-sidebar .sidebar-link")
    texts = list(dict.fromkeys(item.get_text(strip=True) for item in menu))
    wanted = ["Start", "concepts", "render", "data", "unet", "diffusion", "probe", "runs", "train", "emergence", "plots", "report", "cli"]
    assert [text for text in texts if text in wanted] == wanted
    assert texts.index("cli") < texts.index("Tutorials") < texts.index("Reference")


def test_search_knows_every_page(site, soups):
    entries = json.loads((site / "search.json").read_text(encoding="utf-8"))
    assert {entry["href"].split("#")[0] for entry in entries} == soups.keys()
    assert any(entry["href"] == "reference/concepts.html#ConceptGraph" for entry in entries)


@pytest.mark.parametrize("module", reference.modules(), ids=lambda module: module.name)
def test_reference_shows_public_names_only(module, soups):
    anchors = {tag["id"] for tag in soups[f"reference/{module.name}.html"].find_all(id=True)}
    assert set(module.public) <= anchors
    assert not [name for name in module.places if name not in module.public and name in anchors]


def test_reference_says_what_a_caller_needs(soups):
    text = " ".join(soups["reference/concepts.html"].find("main").get_text(" ").split())
    for wanted in ("did_you_mean ( given : str , allowed ) -> str", "jitter float 0.0 half the width", "paper sec. 3",
                   "jitter of {name}: {jitter}; allowed: 0 or more"):
        assert wanted.replace(" ", "") in text.replace(" ", ""), wanted
    code = soups["reference/concepts.html"].select(".code-link a, a.code-link")
    assert all(re.search(r"/compdiff/concepts\.py#L\d+$", link["href"]) for link in code) and code


def test_forms_of_quarto(forms_page):
    assert forms_page.select_one(".callout-note").get_text(" ", strip=True) == "Mind A callout ."
    figure = forms_page.select_one("figure")
    assert (figure.img["alt"], figure.figcaption.get_text()) == ("One dot", "Figure 1: A dot")
    links = {link["href"]: link.get_text() for link in forms_page.select("main p a[href^='#']")}
    assert links == {"#fig-one": "Figure 1", "#eq-one": "Equation 1"}
    assert forms_page.find(id="fig-one") and forms_page.find(id="eq-one")
    assert forms_page.select_one(".equation math mfrac") and forms_page.select_one(".equation-number").get_text() == "(1)"
    assert forms_page.select_one("details summary").get_text() == "Folded"
    assert [link["href"] for link in forms_page.select("main a:has(> code)")] == ["../reference/concepts.html#split"]
    assert forms_page.find("a", string="chapter")["href"] == "../concepts.html"
    assert "never_seen" not in forms_page.get_text()


def test_scripts_of_an_output_survive(site, forms_page):
    assert SCRIPT in (site / FORMS).read_text(encoding="utf-8")


def test_a_real_quarto_goes_before_the_stand_in(tmp_path):
    real = tmp_path / "quarto"
    real.write_text('#!/bin/sh\necho real "$@"\n')
    real.chmod(0o755)
    stand_in = ROOT / "tools" / "quarto"
    path = os.pathsep.join([str(stand_in.parent), str(tmp_path), os.environ["PATH"]])
    command = [sys.executable, stand_in, "render", "--no-cache"]
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.stdout == "real render --no-cache\n"


def test_preparing_twice_changes_nothing(tmp_path):
    shutil.copytree(pages.NBS / "tutorials", tmp_path / "tutorials")
    shutil.copy(pages.NBS / "00_concepts.ipynb", tmp_path)
    pages.prepare(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    pages.prepare(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


@pytest.fixture(scope="module")
def address(site):
    """The site as a browser gets it, over http."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


LOOKED_AT = ["index.html", "reference/render.html", "diffusion.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", LOOKED_AT)
def test_page_in_a_browser(page, scheme, address, chromium):
    with chromium.new_page(color_scheme=scheme, viewport={"width": 1400, "height": 900}) as tab:
        heard, asked = complaints(tab), []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(f"{address}/{page}", wait_until="load")
        assert barriers(tab, "body") == []
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        # a stepper's script is a blob of the page itself
        assert heard == [] and [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def test_search_finds_a_name(address, chromium):
    with chromium.new_page(viewport={"width": 1400, "height": 900}) as tab:
        tab.goto(f"{address}/index.html", wait_until="load")
        tab.keyboard.press("/")
        tab.keyboard.type("did_you_mean", delay=20)
        result = tab.locator("a[href*='reference/concepts.html']").filter(visible=True).filter(has_text="did_you_mean").first
        result.wait_for(timeout=5000)
