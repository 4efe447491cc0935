"""In a real browser: the stepper as a page without a network and in JupyterLab, and every notebook in JupyterLab."""
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import ROOT, barriers, complaints
from PIL import Image

from compdiff.emergence import synthetic_curves
from compdiff.runs import RunFolder, preset, whole
from compdiff.stepper import write_html
from conftest import left_out, skipped_flags

NBS = ROOT / "nbs"
NOTEBOOKS = sorted(str(path.relative_to(NBS)) for path in NBS.rglob("*.ipynb") if not any(part[0] == "." for part in path.parts))
STEPPER = "12_stepper.ipynb"


def made_up(path: Path, pictures: int = 4) -> RunFolder:
    """A folder like that of a finished run: curves of the toy law, and noise for samples."""
    config = preset("fast", steps=400)
    folder, rows, side = RunFolder.create(config, path=path), len(config.graph.evaluated), config.image_size + 1
    for step, curves in synthetic_curves(config.graph).groupby("step"):
        folder.append(curves.to_dict("records"))
        noise = np.random.default_rng(step).integers(0, 255, (rows * side - 1, pictures * side - 1, 3), np.uint8)
        with whole(folder.sample_path(step)) as beside:
            Image.fromarray(noise).save(beside, "png")
    folder.note(status="finished", step=int(step))
    return folder


def shown(root) -> dict:
    """What a reader sees: the line of text, the pictures' pixels, the bars."""
    bars = root.locator(".cd-bar").evaluate_all("bars => bars.map(bar => [bar.dataset.name, +bar.dataset.value])")
    return {"text": root.locator(".cd-state").inner_text(), "bars": dict(bars),
            "pictures": root.locator("canvas.cd-samples").evaluate("canvas => canvas.toDataURL()")}


def drive(page, root, one: str = "000"):
    """Step by keyboard and choose a class by a click: each time text, pictures and numbers are other ones."""
    slider, node = root.locator(".cd-slider"), root.locator(f'.cd-node[data-class="{one}"]')
    root.scroll_into_view_if_needed()
    slider.focus()
    page.keyboard.press("Home")
    seen = [settled(page, root)]
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "6"
    seen.append(settled(page, root))
    node.click()
    assert node.get_attribute("aria-pressed") == "true"
    assert one in root.locator(".cd-state").inner_text()
    seen.append(settled(page, root))
    for part in ("text", "bars", "pictures"):
        assert seen[0][part] != seen[1][part] != seen[2][part], f"{part} did not change: {[one[part] for one in seen]}"


def settled(page, root) -> dict:
    """What is shown when all is drawn: pictures come a moment after the rest."""
    before, now = None, shown(root)
    while now != before:
        page.wait_for_timeout(100)
        before, now = now, shown(root)
    return now


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def opened(chromium):
    """Opens a file offline: the page, what it asked the network for, what it complained of."""
    context = chromium.new_context(offline=True)

    def open_file(path: Path):
        page = context.new_page()
        asked, errors = [], complaints(page)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector(".cd-stepper[data-ready]")
        return page, asked, errors

    yield open_file
    context.close()


def test_page_works_from_a_file(opened, run, tmp_path):
    path = write_html(tmp_path / "run.html", run)
    page, asked, errors = opened(path)
    drive(page, page.locator(".cd-stepper"))
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [path.as_uri()]
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_barrier(opened, run, tmp_path, scheme):
    page, *_ = opened(write_html(tmp_path / "run.html", run))
    page.emulate_media(color_scheme=scheme)
    assert barriers(page, "html") == []


def test_markup_in_names_shows_as_text(opened, tmp_path):
    wicked = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    shape, colour, size = preset("fast").graph.variables
    graph = replace(preset("fast").graph, name=wicked, variables=(replace(shape, values=("circle", wicked)), colour, size))
    curves = synthetic_curves(graph).assign(run=wicked)
    page, asked, errors = opened(write_html(tmp_path / "wicked.html", curves, graph, title=f"A {wicked}"))
    assert page.title() == f"A {wicked}"
    assert page.locator("h1").inner_text() == f"A {wicked}"
    page.locator('.cd-node[data-class="111"]').click()
    assert wicked in page.locator(".cd-state").inner_text()
    assert page.locator("img, main script:not([type])").count() == 0
    assert len(asked) == len([url for url in asked if url.startswith(("file:", "blob:", "data:"))])
    assert errors == []


class Lab:
    """JupyterLab in a browser: its page, its complaints, and what lab.js can do there."""

    def __init__(self, page, address):
        self.page, self.complaints = page, complaints(page)
        page.goto(address)
        page.wait_for_function("window.jupyterapp")
        page.evaluate("jupyterapp.restored")
        page.add_script_tag(path=ROOT / "tests" / "lab.js")

    def outcome(self, notebook: str) -> dict:
        """How the notebook ran from top to bottom in a kernel of its own."""
        return self.page.evaluate("path => lab.outcome(path)", notebook)

    def ask(self, notebook: str, expression: str) -> str:
        """What an expression is in the notebook's kernel."""
        return self.page.evaluate("([path, code]) => lab.ask(path, code)", [notebook, expression])


@pytest.fixture(scope="module")
def lab(chromium, lab_server):
    """JupyterLab on copies in which the cells that nbdev_test leaves out are text."""
    folder, address = lab_server
    flags = skipped_flags()
    for path in folder.rglob("*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code" and left_out("".join(cell["source"]), flags):
                cell["cell_type"] = "raw"
                del cell["outputs"], cell["execution_count"]
        if path.name == STEPPER:
            live = {"cell_type": "code", "id": "live", "metadata": {}, "source": "layout", "outputs": [], "execution_count": None}
            notebook["cells"].append(live)
        path.write_text(json.dumps(notebook), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    yield Lab(page, address)
    page.close()


def passed(lab: Lab, outcome: dict):
    heard, lab.complaints[:] = [*lab.complaints], []
    assert outcome["errors"] == []
    assert outcome["complete"] and not outcome["left"], f"{outcome['left']} cells were not run"
    assert outcome["unseen"] == [], "these cells show a widget that is not drawn"
    assert heard == [], "JupyterLab complained in the browser's console"


def test_stepper_works_in_jupyterlab(lab):
    passed(lab, lab.outcome(STEPPER))
    root = lab.page.locator(".jp-Notebook .widget-box .cd-stepper")
    drive(lab.page, root, "110")
    steps = json.loads(lab.ask(STEPPER, "sorted(run.samples)"))
    assert lab.ask(STEPPER, "(widget.step, widget.chosen)") == f"({steps[6]}, '110')"
    assert lab.ask(STEPPER, "words.value").startswith("'110: ")
    lab.ask(STEPPER, f"widget.set_trait('step', {steps[2]})")
    lab.page.wait_for_function("slider => slider.value === '2'", arg=root.locator(".cd-slider").element_handle())
    assert barriers(lab.page, ".jp-Notebook .widget-box .cd-stepper") == []
    assert lab.complaints == []


@pytest.fixture(scope="module")
def running(lab):
    """All notebooks run, two at a time."""
    lab.page.evaluate("paths => lab.runAll(paths, 2)", NOTEBOOKS)
    return lab


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook_runs_in_jupyterlab(running, notebook):
    passed(running, running.outcome(notebook))
