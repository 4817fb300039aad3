import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penumbra.reviews.answer_checks import ReviewRefused
from penumbra.reviews.label_studio.annotations import AnnotationOfCase, ReviewerNames, read_annotations
from penumbra.reviews.records import ReviewAction
from tests.reviews.label_studio.awkward_answers import SCHEMA
from tests.reviews.label_studio.test_answers import make_region, make_task

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CONTROLS = ["outcome left", "outcome sky", "outcome remark", "outcome tags", "cannot tell", "sureness", "note", "other"]
REGIONS = st.builds(make_region, st.sampled_from(CONTROLS), st.sampled_from(["choices", "text", "number"]), JSON)
FIELDS = st.dictionaries(st.sampled_from(["completed_by", "updated_at", "was_cancelled", "lead_time", "id"]), JSON)


def read_tasks(folder: Path, *tasks: Any) -> list[AnnotationOfCase]:
    path = folder / "export.json"
    path.write_text(json.dumps(tasks))
    return read_annotations(path, SCHEMA, ReviewerNames({"1": "ann"}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(regions=st.lists(REGIONS | JSON, max_size=3), fields=FIELDS)
def test_whatever_an_annotation_says_it_is_read_or_refused_and_the_others_are_read(
    tmp_path: Path, regions: list[Any], fields: dict[str, Any]
) -> None:
    odd, plain = make_task("a", *regions, **fields), make_task("b", make_region("outcome left", "choices", ["yes"]))
    found = read_tasks(tmp_path, odd, plain)
    assert all(isinstance(each.action, ReviewAction | ReviewRefused) for each in found)
    assert {"left": True} in [each.action.label for each in found if isinstance(each.action, ReviewAction)]


@pytest.mark.parametrize(
    ("control", "kind", "value", "label"),
    [
        ("outcome left", "choices", ["no"], {"left": False}),
        ("outcome left", "choices", ["perhaps"], {"left": "perhaps"}),  # for the contract to refuse
        ("outcome sky", "choices", ["$clear"], {"sky": "$clear"}),
        ("outcome remark", "text", ["1", "two"], {"remark": "1\ntwo"}),
        ("outcome tags", "text", ["[1, 2]"], {"tags": [1, 2]}),
        ("outcome tags", "text", ["1, 2"], {"tags": "1, 2"}),
    ],
)
def test_what_a_control_says_is_read_by_the_columns_dtype(
    tmp_path: Path, control: str, kind: str, value: Any, label: Any
) -> None:
    (found,) = read_tasks(tmp_path, make_task("a", make_region(control, kind, value)))
    assert isinstance(found.action, ReviewAction)
    assert found.action.label == label


def test_an_address_names_an_annotator_before_the_number_does(tmp_path: Path) -> None:
    names = ReviewerNames({"1": "ann", "bob@example.org": "bob"}, "cy")
    users = [{"id": 1, "email": "bob@example.org"}, {"id": 1, "email": "x"}, 1, 2, "bob@example.org", None]
    assert [names.find_name(user) for user in users] == ["bob", "ann", "ann", "cy", "bob", "cy"]
