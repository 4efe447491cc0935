"""CITATION.cff can be read, and speaks of this version and of the paper."""
from configparser import ConfigParser
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def settings() -> dict:
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(parser["DEFAULT"])


def test_version_and_licence_are_those_of_the_settings():
    assert (CITATION["version"], CITATION["license"]) == (settings()["version"], settings()["license"])


def test_has_what_the_format_requires():
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    assert CITATION["title"].startswith(settings()["lib_name"])


def test_names_the_paper():
    paper = CITATION["references"][0]
    assert [author["family-names"] for author in paper["authors"]] == ["Okawa", "Lubana", "Dick", "Tanaka"]
    assert (paper["year"], paper["identifiers"][0]["value"]) == (2023, "arXiv:2310.09336")
