"""What the README shows of a replay is what `penumbra replay --update-readme` wrote."""

import json
import xml.etree.ElementTree as ET

from penumbra.core.settings import PROJECT_ROOT
from penumbra.simulation.replay import demo


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
