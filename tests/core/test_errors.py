from fkd.core.errors import one_line


def test_an_error_of_several_lines_becomes_one():
    assert one_line(ValueError("  a mapping\n\tstarts\n\nhere ")) == "a mapping starts here"
    assert one_line(ValueError()) == ""
