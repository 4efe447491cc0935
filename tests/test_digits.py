"""The folder of handwritten digits, from the package to a data set."""
import sys
from collections import Counter

import pandas as pd
import pytest

from compdiff import cli
from compdiff.beyond.digits import LOOP, SLANT, STROKE, TINT, digit_graph
from compdiff.data import read_folder

pytest.importorskip("mlxtend", reason="compdiff[digits] is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "digits"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(sys, "argv", ["compdiff", "data", "digits", "--tint", "--out", str(folder)])
        cli.main()
    assert stop.value.code == 0
    return folder


def test_every_picture_is_there_with_its_digit(made):
    table = pd.read_csv(made / "metadata.csv")
    assert Counter(table["digit"]) == dict.fromkeys(range(10), 500)
    assert (table["loop"] == "loop").sum() == 2000
    for name in ("stroke", "slant"):
        assert table[name].value_counts(normalize=True)["between"] == pytest.approx(0.2, abs=0.01)
        assert table.groupby(name)[f"{name}_value"].max().nunique() == 3


def test_folder_reads_as_a_data_set_of_any_of_its_variables(made):
    three = read_folder(made, digit_graph(LOOP, STROKE, SLANT))
    assert three.report.read == 3187 and len(three.report.unlabelled) == 1813 and not three.report.identical
    assert all(250 < len(train) for train, _ in three._rows.values())
    assert set(three.values) == {"stroke", "slant"}
    tinted = read_folder(made, digit_graph(STROKE, TINT))
    red, blue = (tinted.images[tinted.classes[:, 1] == k].mean((0, 2, 3)) for k in (0, 1))
    assert red[0] > 3 * red[2] and blue[2] > 3 * blue[0]
