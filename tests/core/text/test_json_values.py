from penumbra.core.text.json_values import replace_non_finite


def test_what_json_does_not_have_becomes_none_wherever_it_stands():
    inf, nan = float("inf"), float("nan")
    assert replace_non_finite({"a": [1.5, inf, (nan, "x", 2)], "b": -inf}) == {
        "a": [1.5, None, [None, "x", 2]],
        "b": None,
    }
