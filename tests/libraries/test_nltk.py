import pytest
from nltk.metrics.agreement import AnnotationTask


def test_nltk_says_that_answers_that_are_all_the_same_agree_perfectly():
    assert AnnotationTask([("ann", 1, "fog"), ("bob", 1, "fog")]).alpha() == 1


def test_nltk_divides_by_zero_where_nobody_else_answered():
    with pytest.raises(ZeroDivisionError):
        AnnotationTask([("ann", 1, "fog"), ("bob", 2, "haze")]).alpha()
