from repository import REPOSITORY

from fkd.experiment.reference import settings_reference


def test_the_page_of_all_settings_is_current():
    page = (REPOSITORY / "docs/settings.md").read_text()
    assert page == settings_reference(), "write it anew with: make docs"


def test_a_setting_is_listed_with_its_values_and_default():
    rows = settings_reference().splitlines()
    assert "| `max_epochs` | whole number from 1, up to 1,000,000 | `1000` |" in rows
    assert "| `validation_fraction` | number from 0.0001, below 1 | `0.2` |" in rows
    assert "| `rows` | `labelled`, `any`, `complete` | `labelled` |" in rows
    assert "| `specialists` | [Specialist](#specialist), by name of length up to 100 |  |" in rows
    assert "| `convolutions` | list of [Convolution](#convolution) of length up to 100 |  |" in rows


def test_every_section_that_is_linked_is_there():
    text = settings_reference()
    for line in text.splitlines():
        for link in line.split("](#")[1:]:
            assert f"\n## {link.partition(')')[0]}\n" in text.lower()
