import pytest

pytestmark = pytest.mark.slow  # its import takes half a second


def compute_alpha(*answers):
    from nltk.metrics.agreement import AnnotationTask

    return AnnotationTask(answers).alpha()


def test_nltk_says_that_answers_that_are_all_the_same_agree_perfectly():
    assert compute_alpha(("ann", 1, "fog"), ("bob", 1, "fog")) == 1


def test_nltk_divides_by_zero_where_nobody_else_answered():
    with pytest.raises(ZeroDivisionError):
        compute_alpha(("ann", 1, "fog"), ("bob", 2, "haze"))
