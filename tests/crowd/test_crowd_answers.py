from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.crowd.answers import from_xml, read_answer, to_xml
from newtest.crowd.questions import from_question_xml
from newtest.errors import SourceError

HEAD = '<?xml version="1.0"?><QuestionFormAnswers xmlns="http://x">'


def values(fields: dict[str, str], count: int = 4) -> list[str]:
    return [image.value for image in read_answer(fields, count).images]


def test_ticks_become_yes_and_the_rest_no() -> None:
    assert values({"selected": "1|3"}) == ["yes", "no", "yes", "no"]
    assert values({"selected": "2", "unseen": "2|4"}) == ["no", "unseen", "no", "unseen"]
    assert read_answer({"none": "none"}, 4).explicit
    assert not read_answer({}, 4).explicit


@pytest.mark.parametrize("forged", ["0", "5", "-1", "1e3", "x|y", "99999999999999999999", "１", "1;2", ""])
def test_numbers_that_are_not_on_the_page_are_ignored(forged: str) -> None:
    assert "yes" not in values({"selected": forged})


def test_times_are_kept_when_they_can_be_times() -> None:
    answer = read_answer({"selected": "1", "times": "[1200, 0, -5, 1e3]"}, 4)
    assert [image.milliseconds for image in answer.images] == [1200, 0, None, None]
    for bad in ("", "[1,2]", "{}", "[" * 10_000, "[true,1,2,3,4]", "null", "[" + "9" * 100_000 + "]"):
        assert {image.milliseconds for image in read_answer({"times": bad}, 4).images} == {None}


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=50), max_size=5))
def test_fields_survive_the_xml(fields: dict[str, str]) -> None:
    from_text = from_xml(to_xml(fields.items()))
    for name, value in from_text.items():
        assert all(c in "\t\n" or c >= " " for c in name + value)
    plain = {n: v for n, v in fields.items() if (n + v).isprintable() and n.strip() == n}
    assert plain.items() <= from_text.items()


def test_a_field_that_was_sent_twice_is_joined_as_mturk_does() -> None:
    assert from_xml(to_xml([("selected", "1"), ("none", ""), ("selected", "3")])) == {
        "selected": "1|3",
        "none": "",
    }


def test_mturks_own_answers_are_read() -> None:
    text = (
        HEAD
        + "<Answer><QuestionIdentifier>selected</QuestionIdentifier><FreeText>1|2</FreeText></Answer>"
        + "<Answer><QuestionIdentifier> n </QuestionIdentifier><FreeText></FreeText></Answer>"
        + "</QuestionFormAnswers>"
    )
    assert from_xml(text) == {"selected": "1|2", "n": ""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        HEAD,
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        HEAD + "x" * 1_000_001,
        "\ud800",
    ],
)
def test_hostile_xml_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        from_xml(text)


@pytest.mark.parametrize("encoding", ["ASCII", "ISO-8859-1", "UTF-16"])
def test_a_text_is_read_as_it_is_whatever_encoding_it_declares(encoding: str) -> None:
    """Amazon's answers say ASCII; boto3 has decoded them by then."""
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    answer = "<Answer><QuestionIdentifier>note</QuestionIdentifier><FreeText>é – 魚</FreeText></Answer>"
    assert from_xml(f"{head}<QuestionFormAnswers>{answer}</QuestionFormAnswers>") == {"note": "é – 魚"}
    page = "<HTMLQuestion><HTMLContent><![CDATA[<p>é – 魚</p>]]></HTMLContent></HTMLQuestion>"
    assert from_question_xml(head + page) == "<p>é – 魚</p>"
