from fkd.core.say import first_few


def test_six_are_named_and_the_others_counted():
    assert first_few(["a"]) == "a"
    assert first_few(list("abcdef")) == "a, b, c, d, e, f"
    assert first_few(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"
