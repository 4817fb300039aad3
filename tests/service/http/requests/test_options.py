import pytest

from service.http.refusals import RequestRefused
from service.http.requests.options import read_options

KNOWN = {"explain": "Why this answer?", "uncertainty": "How sure is it?"}


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (b"", set()),
        (b"explain=true", {"explain"}),
        (b"explain=false", set()),
        (b"uncertainty=true&explain=true", {"explain", "uncertainty"}),
        (b"expl%61in=true", {"explain"}),
    ],
)
def test_the_options_that_are_true_are_read(query: bytes, options: set[str]) -> None:
    assert read_options(query, KNOWN) == options


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        (
            b"explian=true",
            {"field": "explian", "value": "'true'", "expected": "one of the options explain, uncertainty"},
        ),
        (b"explain", {"field": "explain", "value": "''", "expected": "true or false"}),
        (b"explain=yes", {"field": "explain", "value": "'yes'", "expected": "true or false"}),
        (b"explain=true&explain=false", {"field": "explain", "value": "'false'", "expected": "each option once"}),
    ],
)
def test_an_option_that_is_unknown_or_wrong_is_refused_by_name(query: bytes, fault: dict[str, str]) -> None:
    with pytest.raises(RequestRefused) as refused:
        read_options(query, KNOWN)
    assert (refused.value.status, refused.value.details) == (422, [fault])


def test_a_path_without_options_says_so() -> None:
    with pytest.raises(RequestRefused) as refused:
        read_options(b"explain=true", {})
    assert refused.value.details[0]["expected"] == "no option: there are none"


def test_of_many_faults_a_hundred_are_named_and_all_are_counted() -> None:
    with pytest.raises(RequestRefused, match="the query has 1500 faults; listed are 100 of them") as refused:
        read_options("&".join(f"o{n}=1" for n in range(1500)).encode(), KNOWN)
    assert len(refused.value.details) == 100
