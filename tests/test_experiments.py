"""The experiments, the paper's and those beyond: each command works on tiny runs, and what is kept is what the configs say."""
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compdiff import cli
from compdiff.beyond.summary import ALL
from compdiff.data import Batch, encode, save_folder
from compdiff.experiments import read_kept
from compdiff.paper import summary as paper

RESULTS = Path(__file__).parents[1] / "nbs/results"
TINY = dict(image_size=8, widths=(8, 8, 8), steps=4, evaluations=2, first_evaluation=2, images_per_class=4, early_images=4,
            num_inference_steps=2)


def noise_folder(graph, folder):
    """A folder of pictures, for runs that read one."""
    classes = torch.tensor(graph.index(graph.classes)).repeat(8, 1)
    images = torch.rand(len(classes), 3, 8, 8, generator=torch.Generator().manual_seed(0))
    save_folder(Batch(images, classes, encode(graph, classes)), graph, folder)


@pytest.mark.parametrize("name", ALL)
def test_command_does_tiny_runs_and_gives_verdicts(name, tmp_path, monkeypatch, capsys):
    one = ALL[name]
    configs = [config.changed(**TINY) for config in one.configs(True)[:1]]
    monkeypatch.setitem(ALL, name, replace(one, configs=lambda pilot: configs))
    monkeypatch.chdir(tmp_path)
    for config in configs:
        if config.folder: noise_folder(config.graph, tmp_path / config.folder)
    monkeypatch.setattr(sys, "argv", ["compdiff", "experiment", name, "--pilot", "--workers", "1", "--out", "runs"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr()
    assert stop.value.code == 0, said.err
    assert said.out.count("**Open:**") == len(one.claims), said.out


@pytest.mark.parametrize("name", ALL)
def test_kept_runs_are_those_of_the_configs(name):
    folder = RESULTS / ("paper" if name in paper.EXPERIMENTS else "beyond")
    if not (folder / f"{name}.json").exists():
        pytest.skip(f"nothing of {name} is kept yet")
    kept, wanted = read_kept(ALL[name], folder), {config.name: config.seed for config in ALL[name].configs(False)}
    found = dict(kept.curves[["run", "seed"]].drop_duplicates().itertuples(index=False))
    assert found.items() <= wanted.items()
    assert len(found) == kept.facts["runs"] and kept.facts["runs_wanted"] == len(wanted)
    assert sum(len(kind["seeds"]) for kind in kept.facts["configs"]) == len(found)


def test_kept_results_are_small_and_name_no_folder():
    files = [file for folder in ("paper", "beyond") for file in (RESULTS / folder).glob("*")]
    assert sum(file.stat().st_size for file in files) < 20e6
    for file in files:
        if file.suffix == ".json":
            assert "/" not in json.dumps(json.loads(file.read_text()).get("machine", ""))
