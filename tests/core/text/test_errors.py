from penumbra.core.text.errors import describe_error


def test_an_error_of_many_lines_is_described_by_the_first_one():
    assert (
        describe_error(ValueError("no such column\n\nResolved plan until failure:\n…")) == "ValueError: no such column"
    )
