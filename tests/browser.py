"""A headless Chromium, and a JupyterLab that `make lab` opened on a copy of the notebooks; nothing is written into the user's home.

Each lasts as long as one test module: nbval cannot talk to its kernels while a playwright is open.
"""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
CHROMIUM = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
MISSING = "no Chromium on the PATH: install it (Debian: apt-get install chromium) to run the tests in a browser"
LAB = ["--no-browser", "--allow-root", "--port=0", "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly",
       "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
# A server ends, and its kernels with it, as soon as nobody holds the other end of its input, however that came about.
GUARDED = ["sh", "-c", '"$@" & trap : TERM; cat; kill -TERM -$$; wait', "sh"]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not found:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(MISSING)
    env = {**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))}
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--disable-gpu"], env=env)
        yield launched
        launched.close()


def complaints(page) -> list[str]:
    """What the page will complain of: errors in its console and such as nobody caught."""
    heard = []
    page.on("console", lambda said: heard.append(f"{said.text} ({said.location['url']})") if said.type == "error" else None)
    page.on("pageerror", lambda error: heard.append(str(error)))
    return heard


def barriers(page, root: str) -> list[str]:
    """The serious and critical findings of axe-core inside an element."""
    found = Axe().run(page, root).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {one['help']}: {node['html'][:200]}" for one in grave for node in one["nodes"]]


def wait_for_address(folder: Path) -> str:
    """Where a Jupyter server answers, from what it writes down once it listens."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for path in (folder / "jupyter_runtime_dir").glob("jpserver-*.json"):
            if (text := path.read_text()).endswith("}"):
                told = json.loads(text)
                return f"{told['url']}lab?token={told['token']}"
        time.sleep(0.1)
    pytest.fail("`make lab` opened no JupyterLab:\n" + (folder / "log").read_text())


@pytest.fixture(scope="module")
def lab_server(tmp_path_factory):
    """`make lab` in a folder with a copy of the notebooks: where that is, and the address it answers at."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "nbs", folder / "nbs", ignore=shutil.ignore_patterns(".*", "runs"))
    config = folder / "jupyter_config_dir" / "labconfig" / "page_config.json"
    config.parent.mkdir(parents=True)
    # The debugger asks each new kernel questions, and complains if the kernel is shut down before it has answered.
    config.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/debugger-extension": True}}))
    places = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {name: str(folder / name.lower()) for name in places}
    venv = os.path.relpath(sys.prefix, folder)
    command = ["make", "-f", ROOT / "Makefile", "-o", f"{venv}/.ready", f"VENV={venv}", "lab", f"OPTIONS={' '.join(LAB)}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([*GUARDED, *command], cwd=folder, env={**os.environ, **own}, stdin=subprocess.PIPE, stdout=log,
                                  stderr=log, start_new_session=True)
    try:
        yield folder / "nbs", wait_for_address(folder)
    finally:
        server.stdin.close()
        server.wait(30)
