"""Sweeps under duress: workers and sweeps that are killed, Ctrl-C, two sweeps at once, a cluster that loses a worker."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import psutil
import pytest

from compdiff import sweep as sweeps
from compdiff.runs import RunFolder, preset

YAML = """
set: {widths: [8, 8, 8], image_size: 8, steps: 60, evaluations: 2, first_evaluation: 20, images_per_class: 4, early_images: 4,
      full_from: 0, num_inference_steps: 2, batch_size: 16, warmup_steps: 2, checkpoint_every: 5}
grid: {seed: 0..2}
"""


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Path:
    """The sweep's folder as it is when nothing happens."""
    root = tmp_path_factory.mktemp("calm")
    (root / "seeds.yaml").write_text(YAML)
    sweeps.sweep(sweeps.read_sweep(root / "seeds.yaml"), root, workers=2, progress=False)
    return root


@pytest.fixture
def root(calm, tmp_path) -> Path:
    """A folder with the probes and the sweep's file, and no run."""
    shutil.copytree(calm / "probes", tmp_path / "probes")
    shutil.copy(calm / "seeds.yaml", tmp_path)
    return tmp_path


def command(root, *options) -> subprocess.Popen:
    code = "import sys; from compdiff.cli import main; sys.argv[0] = 'compdiff'; main()"
    arguments = [sys.executable, "-c", code, "sweep", root / "seeds.yaml", "--out", root, "--workers", "2", *options]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_until(condition):
    end = time.monotonic() + 600  # on an idle machine it takes seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def at_work(root) -> bool:
    """Whether a run is between its first checkpoint and its end."""
    return any(root.glob("*/config.json")) and len(sweeps.sweep_status(root).query("status == 'running' and step > 0")) > 0


def statuses(root) -> set[str]:
    """What the runs say of themselves: `running` too where one was killed."""
    return {RunFolder(path.parent).status for path in root.glob("*/config.json")}


def assert_as_calm(root, calm):
    mine, theirs = (sweeps.collect(place).drop(columns="seconds") for place in (root, calm))
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


def test_a_killed_worker_costs_no_run(root, calm):
    sweep = command(root)
    wait_until(lambda: at_work(root))
    workers = [one for one in psutil.Process(sweep.pid).children() if "popen_loky" in " ".join(one.cmdline())]
    workers[0].kill()
    said, log = sweep.communicate(timeout=600)
    assert sweep.returncode == 0, log
    assert "3 of 3 runs finished, 0 failed" in said
    assert_as_calm(root, calm)


@pytest.mark.parametrize("whom", ["the sweep", "all, as a terminal does"])
def test_ctrl_c_stops_all_within_a_step_and_the_same_sweep_goes_on(root, calm, whom):
    sweep = command(root)
    wait_until(lambda: at_work(root))
    os.kill(sweep.pid, signal.SIGINT) if whom == "the sweep" else os.killpg(sweep.pid, signal.SIGINT)
    _, log = sweep.communicate(timeout=600)
    assert sweep.returncode == 130
    assert re.fullmatch(r"compdiff: stopped with \d of 3 runs finished; the same sweep goes on from there", log.strip().splitlines()[-1])
    assert "Traceback" not in log
    assert "interrupted" in statuses(root) and "running" not in statuses(root)
    assert not list(root.glob(".stop*"))
    if whom == "the sweep":
        sweeps.sweep(sweeps.read_sweep(root / "seeds.yaml"), root, workers=2, progress=False)
        assert_as_calm(root, calm)


def test_workers_stop_when_the_sweep_is_killed(root):
    sweep = command(root)
    wait_until(lambda: at_work(root))
    sweep.kill()
    sweep.wait()
    wait_until(lambda: "interrupted" in statuses(root) and "running" not in statuses(root))


COUNTING = """
import sys
from compdiff import train
from compdiff.sweep import read_sweep, sweep
steps, step = [], train.train_step
def counting(state, *arguments):
    steps.append(state.step)
    return step(state, *arguments)
train.train_step = counting
states = sweep(read_sweep(sys.argv[1] + "/seeds.yaml"), sys.argv[1], workers=1, progress=False)
print(len(steps), *states["status"])
"""


def test_two_sweeps_on_one_folder_share_the_work(root, calm):
    both = [subprocess.Popen([sys.executable, "-c", COUNTING, root], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=600)[0].split() for one in both]
    assert [words[1:] for words in said] == [["finished"] * 3] * 2
    assert sum(int(words[0]) for words in said) == 3 * 60
    assert all(int(words[0]) > 0 for words in said)
    assert_as_calm(root, calm)


def deadly(config, root, stop, owner):
    if config.seed == 1: os.kill(os.getpid(), signal.SIGKILL)
    return {"run": config.name, "status": "finished"}


def test_a_run_that_kills_its_process_is_given_up_alone(tmp_path):
    configs = [preset("fast", seed=seed) for seed in range(4)]
    RunFolder.create(configs[1], tmp_path)
    work = partial(deadly, root=tmp_path, stop=tmp_path / "never", owner=os.getpid())
    states = {state["run"]: state for state in sweeps._on_cores(work, configs, tmp_path / "never", workers=2)}
    assert {name for name, state in states.items() if state["status"] == "failed"} == {configs[1].name}
    assert len(states) == 4
    assert "its process was killed three times" in RunFolder(tmp_path / configs[1].name).info["error"]


def test_a_cluster_that_loses_a_worker_finishes(root, calm):
    distributed = pytest.importorskip("distributed", reason="dask is an extra: pip install 'compdiff[cluster]'")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        sweep = command(root, "--scheduler", cluster.scheduler_address)
        wait_until(lambda: at_work(root))
        before = [worker.pid for worker in cluster.workers.values()]
        os.kill(before[0], signal.SIGKILL)
        said, log = sweep.communicate(timeout=600)
        after = [worker.pid for worker in cluster.workers.values()]
    assert sweep.returncode == 0, log
    assert "3 of 3 runs finished, 0 failed" in said
    assert before[0] not in after and before[1] in after
    assert_as_calm(root, calm)


def test_a_cluster_must_have_workers_of_one_thread(root):
    distributed = pytest.importorskip("distributed", reason="dask is an extra: pip install 'compdiff[cluster]'")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster, \
            pytest.raises(ValueError, match="scheduler: of its workers, one with 2 threads; allowed: one or more, a thread each"):
        sweeps.sweep(sweeps.read_sweep(root / "seeds.yaml"), root, scheduler=cluster.scheduler_address, progress=False)


def test_what_is_damaged_is_told_and_stays_as_it_is(root, calm):
    configs = sweeps.read_sweep(root / "seeds.yaml")[:2]
    for config in configs: shutil.copytree(calm / config.name, root / config.name)
    (root / configs[1].name / "curves.csv").write_text("step,images\n")
    with pytest.warns(UserWarning, match="curves.csv has no column seconds"):
        assert set(sweeps.collect(root)["seed"]) == {0}
    (root / configs[1].name / "run.json").write_text('{"status": "runn')
    states = sweeps.sweep(configs, root, workers=1, progress=False)
    assert list(states["status"]) == ["finished", "failed"]
    assert (root / configs[1].name / "run.json").read_text() == '{"status": "runn'
