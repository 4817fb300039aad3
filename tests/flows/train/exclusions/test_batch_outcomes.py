"""Batches whose rows lack outcomes are told in a line for all that lack the same."""

from flows.steps.train.exclusions import batch_outcomes


def test_batches_without_outcomes_that_do_not_follow_each_other_are_no_span() -> None:
    known, empty = batch_outcomes.BatchOutcomes(5, 9, 0, False), batch_outcomes.BatchOutcomes(0, 0, 0, False)
    lacking = ("1971-Q3", "1983-Q3", "1983-Q4", "1985-Q1")
    batches = {f"{year}-Q{quarter}": known for year in range(1971, 1985) for quarter in range(1, 5)}
    assert batch_outcomes.describe_outcomes(batches | dict.fromkeys(lacking, empty)) == [
        "3 batches, 1971-Q3, 1983-Q3 to 1983-Q4: no row has an outcome",
        "1985-Q1: no row has an outcome yet",
    ]
    none_yet = batch_outcomes.describe_outcomes(dict.fromkeys(["2024-01", "2024-02"], empty))
    assert none_yet == ["2 batches, 2024-01 to 2024-02: no row has an outcome yet"]
    every_other = {batch: empty if number % 2 else known for number, batch in enumerate(batches)}
    assert batch_outcomes.describe_outcomes(every_other)[0] == (
        "27 batches between 1971-Q2 and 1984-Q2: no row has an outcome"
    )


def test_batches_that_lack_outcomes_are_one_line_however_many_they_are() -> None:
    known, waiting, spoilt = (
        batch_outcomes.BatchOutcomes(*counts, False) for counts in ((5, 9, 0), (0, 0, 0), (3, 3, 2))
    )
    assert batch_outcomes.describe_outcomes({"2024-01": known, "2024-02": waiting}) == [
        "2024-02: no row has an outcome yet"
    ]
    months = {f"2024-{month:02}": waiting for month in range(2, 12)}
    assert batch_outcomes.describe_outcomes({"2023-11": spoilt, "2023-12": spoilt, "2024-01": known, **months}) == [
        "2 batches, 2023-11 to 2023-12: 4 outcomes are NaN or infinite, from which nothing is learnt",
        "10 batches, 2024-02 to 2024-11: no row has an outcome yet",
    ]
    assert batch_outcomes.describe_outcomes({"2024-01": known}) == []


def test_the_share_of_rows_on_days_with_faults_is_of_those_with_an_outcome() -> None:
    some, none = (batch_outcomes.BatchOutcomes(*counts, False) for counts in ((6, 8, 0), (0, 0, 3)))
    assert batch_outcomes.compute_excluded_share({"2024-01": some, "2024-02": none}) == 0.25
    assert batch_outcomes.compute_excluded_share({"2024-02": none}) == 0
