"""What the README shows of a replay is what `penumbra replay --update-readme` wrote."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from penumbra.core.settings import PROJECT_ROOT
from penumbra.simulation.replay import demo, run
from tests.helpers.command_line import run_command_line


def read_readme() -> str:
    return (PROJECT_ROOT / "README.md").read_text()


def test_the_readme_shows_the_last_words_of_the_recorded_replay() -> None:
    assert demo.extract_replay_output(read_readme()) == demo.REPLAY_TEXT.read_text()


def test_the_recorded_replay_noticed_the_fault_and_never_promoted_the_saboteur() -> None:
    figures = json.loads(demo.REPLAY_TEXT.read_text().splitlines()[-1])
    assert figures["fault_noticed"]
    assert not figures["sabotage_promoted"]


def test_the_picture_is_an_svg_that_the_readme_shows() -> None:
    assert ET.parse(demo.REPLAY_PICTURE).getroot().tag.endswith("svg")
    assert f"]({demo.REPLAY_PICTURE.relative_to(PROJECT_ROOT)})" in read_readme()


def test_a_readme_without_the_block_is_said_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text("# Parcels\n")
    monkeypatch.setattr(demo, "README_FILE", tmp_path / "README.md")
    monkeypatch.setattr(run, "main", lambda _: pytest.fail("it is played"))
    done = run_command_line("replay", "--update-readme")
    assert done.exit_code == 1
    assert "README.md has no block with" in done.stdout + done.stderr
