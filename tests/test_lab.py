"""JupyterLab in a real browser: the stepper works there, and every notebook opens and runs."""
import json
import os
import re
from configparser import ConfigParser

import pytest
from browser import ROOT, barriers, complaints

from conftest import left_out, skipped_flags

NBS = ROOT / "nbs"
NOTEBOOKS = sorted(str(path.relative_to(NBS)) for path in NBS.rglob("*.ipynb") if not any(part[0] == "." for part in path.parts))
STEPPER = "12_stepper.ipynb"
# They compute for half a minute or more, which nbdev_test spends on them already. Here they run on CI; elsewhere they only open.
LONG = {"05_probe.ipynb", "07_train.ipynb", "09_sweep.ipynb", "15_cli.ipynb"} if os.environ.get("CI") != "true" else set()
WIDGETS = re.compile("compdiff.(stepper|explorer)")


def run_by_nbval(notebook: str) -> bool:
    """Whether pytest.ini lists it, by itself or by its folder."""
    parser = ConfigParser()
    parser.read(ROOT / "pytest.ini")
    listed = parser["pytest"]["testpaths"].split()
    return not {f"nbs/{notebook}", f"nbs/{notebook.rpartition('/')[0]}"}.isdisjoint(listed)


# nbval has run these in a kernel, and they show no widget: here they only open.
OPENED = LONG | {one for one in NOTEBOOKS if run_by_nbval(one) and not WIDGETS.search((NBS / one).read_text(encoding="utf-8"))}


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
def running(lab, request):
    """The notebooks of this session's tests run, two at a time."""
    chosen = [item.callspec.params["notebook"] for item in request.session.items if "running" in getattr(item, "fixturenames", ())]
    lab.page.evaluate("([paths, only]) => lab.runAll(paths, only, 2)", [chosen, [*OPENED]])
    return lab


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook_runs_in_jupyterlab(running, notebook):
    passed(running, running.outcome(notebook))
    if notebook in OPENED:
        pytest.skip("opened, not run: nbval runs it" if run_by_nbval(notebook) else
                    "opened, not run: nbdev_test runs it, and CI=true in the environment runs it here too")
