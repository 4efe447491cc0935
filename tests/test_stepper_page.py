"""The stepper in a real browser, as a page from a file, without a network."""
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import barriers, complaints
from PIL import Image

from compdiff.concepts import FAST, split
from compdiff.emergence import COLUMNS, emergence_interval, synthetic_curves, wilson
from compdiff.plots import spread_apart
from compdiff.runs import RunFolder, preset
from compdiff.stepper import write_html


@pytest.fixture
def visit(chromium):
    """Open a page from a file; whatever it complains about or asks the network for is an error."""
    contexts, heard = [], []

    def open_page(path, **options):
        context = chromium.new_context(offline=True, **{"viewport": {"width": 1300, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        heard.append(complaints(page))
        own = ("blob:", "data:", path.as_uri())
        page.on("request", lambda asked: heard[-1].append(asked.url) if not asked.url.startswith(own) else None)
        page.goto(path.as_uri())
        page.wait_for_selector(".cd-stepper[data-ready='1']", timeout=10_000)
        return page
    yield open_page
    for context in contexts: context.close()
    assert sum(heard, []) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of 60 evaluations with 16 pictures of each of 8 classes."""
    steps = tuple(range(10, 610, 10))
    folder = RunFolder.create(preset("fast", steps=600), path=tmp_path_factory.mktemp("runs") / "run")
    folder.append(synthetic_curves(folder.config.graph, steps=steps).to_dict("records"))
    folder.note(status="finished", step=600, seconds=60.0)
    (folder.path / "samples").mkdir()
    smooth = np.random.default_rng(0).random((8 * 29 - 1, 16 * 29 - 1)).cumsum(1) % 1
    for t, step in enumerate(steps):
        grid = np.stack([(smooth + t / 60) % 1, smooth, np.full_like(smooth, t / 60)], -1)
        Image.fromarray((grid * 255).astype(np.uint8)).save(folder.sample_path(step))
    return folder


@pytest.fixture(scope="module")
def big(folder, tmp_path_factory):
    path = write_html(tmp_path_factory.mktemp("page") / "run.html", folder)
    assert path.stat().st_size < 5e6
    return path


MODULE = """async task => {
    const source = document.querySelector('script[type="text/x-module"]').textContent
    const module = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })))
    return task.map(([name, ...given]) => module[name](...given))
}"""


def test_browser_and_python_agree(visit, big):
    page, rng = visit(big), np.random.default_rng(1)
    n = rng.integers(1, 200, 300)
    shares = [(rng.integers(0, k + 1) / k, int(k)) for k in n] + [(float(rng.random()), int(k)) for k in n]
    found = page.evaluate(MODULE, [["wilson", float(value), k] for value, k in shares])
    np.testing.assert_allclose(found, [wilson(value, k) for value, k in shares], atol=1e-12)
    curves = [(rng.integers(0, 21, 12).cumsum() / rng.integers(1, 250)).clip(0, 1).tolist() for _ in range(300)]
    levels = rng.choice([0.5, 0.85, 0.9, 1.0], 300).tolist()
    found = page.evaluate(MODULE, [["emergence", list(range(10, 22)), curve, level] for curve, level in zip(curves, levels, strict=True)])
    wanted = [emergence_interval(range(10, 22), curve, level) for curve, level in zip(curves, levels, strict=True)]
    assert [(one["lastBelow"], one["emerged"]) for one in found] == [tuple(one) for one in wanted]
    samples = [(rng.random(rng.integers(1, 9)).tolist(), float(rng.choice([0, 0.25, 0.5, 0.75, 1]))) for _ in range(200)]
    found = page.evaluate(MODULE, [["quantile", *sample] for sample in samples])
    np.testing.assert_allclose(found, [np.quantile(*sample) for sample in samples], atol=1e-12)
    places = [sorted(rng.random(8).tolist()) for _ in range(50)]
    found = page.evaluate(MODULE, [["spreadApart", place, 0.08, 0, 1] for place in places])
    np.testing.assert_allclose(found, [spread_apart(place, 0.08, 0, 1) for place in places], atol=1e-9)


def test_every_panel_follows_the_slider(visit, big, folder):
    page = visit(big)
    page.focus(".cd-slider")
    page.keyboard.press("Home")
    before, ink = page.inner_text(".cd-state"), page.eval_on_selector(".cd-samples", "canvas => canvas.toDataURL()")
    for _ in range(30): page.keyboard.press("ArrowRight")
    page.wait_for_timeout(50)
    assert before.startswith("Step 10:") and page.inner_text(".cd-state").startswith("Step 310:")
    assert page.eval_on_selector(".cd-samples", "canvas => canvas.toDataURL()") != ink
    page.click("[data-class='011'].cd-node")
    table = folder.curves.query("step == 310 and `class` == '011' and measure == 'hard'").set_index("variable")["value"]
    bars = {bar.get_attribute("data-name"): float(bar.get_attribute("data-value")) for bar in page.query_selector_all(".cd-bar")}
    for name in ("shape", "colour", "size"): assert bars[name] == pytest.approx(table[name], abs=1e-6)
    assert bars["product"] == pytest.approx(table["joint"], abs=1e-6)
    assert bars["independent"] == pytest.approx(table[["shape", "colour", "size"]].prod(), abs=1e-6)
    assert page.get_attribute("[data-class='011'].cd-node", "aria-pressed") == "true"
    assert f"011 (circle, blue, small) at {table['joint']:.2f}" in page.inner_text(".cd-state")


def test_way_through_the_concept_graph_ends_where_the_pictures_lie(visit, big, folder):
    page = visit(big)
    at = """selector => {
        const box = document.querySelector(selector).getBoundingClientRect()
        return [box.x + box.width / 2, box.y + box.height / 2]
    }"""
    node = {one: np.array(page.evaluate(at, f"[data-class='{one}'] .cd-body")) for one in ("000", "100", "010", "001", "011")}
    page.click("[data-class='011'].cd-node")
    page.focus(".cd-slider")
    for press in ("Home", "End"):
        page.keyboard.press(press)
        page.wait_for_timeout(50)
        step = 10 if press == "Home" else 600
        right = folder.curves.query(f"step == {step} and `class` == '011' and measure == 'hard'").set_index("variable")["value"]
        shares = [1 - right["shape"], right["colour"], right["size"]]
        wanted = node["000"] + sum(share * (node[one] - node["000"]) for share, one in zip(shares, ("100", "010", "001"), strict=True))
        np.testing.assert_allclose(page.evaluate(at, ".cd-here"), wanted, atol=0.6)
    assert page.get_attribute(".cd-trail", "d").count("L") == 59


def test_keyboard(visit, big):
    page = visit(big)
    page.focus("[data-class='110'].cd-node")
    page.keyboard.press("Enter")
    assert page.get_attribute("[data-class='110'].cd-key", "aria-pressed") == "true"
    page.keyboard.press("Home")
    assert page.input_value(".cd-slider") == "0"
    page.focus(".cd-slider")
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('.cd-slider').value >= 2")
    page.keyboard.press("Space")
    stopped = page.input_value(".cd-slider")
    page.wait_for_timeout(500)
    assert page.input_value(".cd-slider") == stopped
    order = page.inner_text(".cd-order")
    page.focus(".cd-threshold")
    for _ in range(5): page.keyboard.press("PageDown")
    assert page.get_attribute(".cd-threshold", "aria-valuenow") == "0.4" and page.inner_text(".cd-order") != order
    assert page.input_value(".cd-slider") == stopped


def test_names_are_text(visit, tmp_path):
    graph, evil = split("H32-train1", FAST), "<img src=x onerror=alert(1)><script>alert(1)</script>"
    variables = tuple(type(v)(f"{v.name}{evil}", (evil, "</script>"), v.means, v.jitter) for v in graph.variables)
    graph = type(graph)(variables, graph.train, name=evil)
    curves = synthetic_curves(graph)[list(COLUMNS)].assign(run=evil, seed=0)
    page = visit(write_html(tmp_path / "evil.html", {evil: curves, "</style>": curves}, graph))
    assert page.locator("img, .cd-stepper script").count() == 0
    assert evil in page.inner_text(".cd-stepper") and evil in page.inner_text("h1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_a_reader(visit, big, scheme):
    page = visit(big, color_scheme=scheme)
    assert barriers(page, "html") == []


STEPS = """async () => {
    const slider = document.querySelector('.cd-slider')
    for (let i = 0; i < 60; i++) {
        slider.value = i
        slider.dispatchEvent(new Event('input', { bubbles: true }))
        await new Promise(requestAnimationFrame)
    }
}"""


def test_fast_enough(visit, big):
    """By the processor's time that the page's thread takes, since the machine may be busy with other things."""
    page = visit(big)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}["TaskDuration"]

    start = seconds()
    page.reload()
    page.wait_for_selector(".cd-stepper[data-ready='1']")
    page.wait_for_timeout(300)
    opened = seconds()
    page.evaluate(STEPS)
    stepped = (seconds() - opened) / 60
    print(f"opening {opened - start:.3f} s, a step {1000 * stepped:.1f} ms")
    assert 0 < opened - start < 1, f"opening takes {opened - start:.2f} s"
    assert 0 < stepped < 0.016, f"a step takes {1000 * stepped:.1f} ms, which is more than a frame"


GROW = """async () => {
    const host = document.querySelector('.cd-host'), source = host.querySelector('script[type="text/x-module"]').textContent
    const module = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })))
    const state = JSON.parse(host.querySelector('script[type="application/json"]').textContent), listeners = {}, whole = state.data
    const until = count => ({ ...whole, groups: whole.groups.map(group => ({ ...group,
        runs: group.runs.map(run => ({ ...run, steps: run.steps.slice(0, count) })) })) })
    const set = (key, value) => { state[key] = value; (listeners['change:' + key] ?? []).forEach(act => act()) }
    const model = { get: key => state[key], set, save_changes() {}, off() {}, on: (event, act) => (listeners[event] ??= []).push(act) }
    const place = document.createElement('div'), seen = [], later = () => new Promise(done => setTimeout(done, 50))
    const grow = async (count, kernel) => { set('data', until(count)); set('step', kernel); await later(); seen.push(state.step) }
    document.body.prepend(place)
    Object.assign(state, { data: until(5), step: 50 })
    module.default.render({ model, el: place })
    place.querySelector('.cd-slider').focus()
    await grow(6, 60)
    set('step', 30); await later()
    await grow(7, 70) // a busy kernel does not know yet that the reader has moved
    return [seen, document.activeElement.className, place.querySelector('.cd-slider').max]
}"""


def test_a_run_that_grows_takes_the_last_reader_along(visit, big):
    seen, focused, last = visit(big).evaluate(GROW)
    assert (seen, focused, last) == ([60, 30], "cd-slider", "6")


def test_threshold_is_dragged(visit, big):
    page = visit(big)
    before, box = page.inner_text(".cd-order"), page.locator(".cd-pill").bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 10, box["y"] + 108, steps=5)
    page.mouse.up()
    assert float(page.get_attribute(".cd-threshold", "aria-valuenow")) < 0.7 and page.inner_text(".cd-order") != before


def test_save(visit, folder, big):
    page = visit(big)
    for name, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b"group,run,seed,step")):
        with page.expect_download() as download: page.click(f".cd-save:text-is('{name}')")
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(start), name
    table = pd.read_csv(download.value.path(), dtype={"class": str})
    wanted = folder.curves.query("measure == 'hard' and variable == 'joint'").set_index(["class", "step"])["value"]
    given = table.query("measure == 'hard' and variable == 'joint'").set_index(["class", "step"])["value"]
    pd.testing.assert_series_equal(given.sort_index(), wanted.sort_index())


def test_phone(visit, big):
    page = visit(big, viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
