"""Texts in every language, names of classes in theirs."""

from __future__ import annotations

import html
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from crowd_study import GOLDFISH, crowd
from test_crowd_server import ask, begin

from newtest.crowd.class_names import read_class_names
from newtest.crowd.languages import language, languages
from newtest.crowd.questions import Wording
from newtest.crowd.templates import Page, load_template, render
from newtest.errors import UsageError
from newtest.study import Study

OMW = (
    "# Japanese WordNet\tjpn\thttp://nlpwww.nict.go.jp/wn-ja/\twordnet\n"
    "01443537-n\tjpn:lemma\t金魚\n01443537-n\tjpn:lemma\t和_金\n"
)


def texts(tag: str) -> dict[str, str]:
    table = tomllib.loads(files("newtest.crowd.languages").joinpath(f"{tag}.toml").read_text("utf-8"))
    return {f"{part}.{key}": text for part in ("work", "page") for key, text in table[part].items()} | {
        "name": table["name"],
        "dir": table["dir"],
    }


def test_there_are_six_languages_and_one_that_is_written_from_the_right() -> None:
    assert {"en", "de", "es", "fr", "ja", "zh"} < set(languages())
    assert language("ar").dir == "rtl"
    with pytest.raises(UsageError, match="there is no language 'xx'; there are en, "):
        language("xx")


@pytest.mark.parametrize("tag", languages())
def test_no_text_is_missing_and_each_keeps_its_places(tag: str) -> None:
    english, theirs = texts("en"), texts(tag)
    assert theirs.keys() == english.keys()
    for key, text in theirs.items():
        assert text.strip() == text != "", key
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key])), key
    if tag != "en":
        same = {key for key in english if english[key] == theirs[key]} - {"dir", "work.pause"}
        assert len(same) < 4, same


@pytest.mark.parametrize("tag", languages())
def test_a_pause_names_the_button_as_it_is_written(tag: str) -> None:
    work = language(tag).work
    assert work["start_now"] in work["paused"]


@pytest.mark.parametrize("template", ["select_images", "near_duplicates", "which_classes"])
@pytest.mark.parametrize("tag", languages())
def test_every_text_of_a_page_is_in_its_language(tag: str, template: str) -> None:
    blocks = {
        "example": [{"url": "/e"}],
        "image": [{"number": "1", "url": "/x"}],
        "pair": [{"number": "1", "left_url": "/x", "right_url": "/y"}],
        "option": [{"number": "1", "name": "otter"}],
    }
    text = render(load_template(template), Page("otter", ("otter", "otter 2"), blocks=blocks, language=tag))
    assert f'<html lang="{tag}" dir="{language(tag).dir}">' in text
    body = html.unescape(re.sub(r"<script>.*?</script>|<style>.*?</style>", "", text, flags=re.DOTALL))
    for key in re.findall(r"\$\{text\.(\w+)\}", load_template(template)):
        assert language(tag).page[key].split("{")[0] in body, key
    words = " ".join(re.sub(r"<[^>]*>", " ", body).split())
    if tag in ("ja", "zh", "ar"):
        assert not re.search(r"[A-Za-z]{4}", words.replace("otter", "").replace("CG", "")), words


def test_a_server_speaks_one_language_on_all_its_pages(study: Study) -> None:
    names = {GOLDFISH: (["金魚"], "観賞用の魚")}
    with crowd(study, wording=Wording("ja", names)) as server:
        link = server.invite("ann")
        overview = ask(link).text
        assert '<html lang="ja" dir="ltr">' in overview
        assert "金魚" in overview
        assert "tench" in overview  # a class that the file does not name keeps its own
        task = begin(server, link)
        assert "金魚" in ask(str(task)).text
        page = ask(f"{task}/page").text
        assert "次のものが1つ以上写っている画像をすべて選んでください：金魚" in page
        assert "観賞用の魚" in page
        assert language("ja").work["link_gone"] in ask(f"{server.url}/work/nobody/").text
        assert language("ja").work["no_such_task"] in ask(link + "3NONE").text
        assert (
            '<html lang="en"'
            in ask(f"{server.url}/owner/", authorization="Bearer owner-token-of-the-tests").text
        )


def test_names_come_from_json_or_from_a_wordnet_of_another_language(tmp_path: Path) -> None:
    file = tmp_path / "names"
    file.write_text(
        '{"n01443537": ["金魚", "和金"], "n01440764": {"names": "テンチ", "definition": "魚"}}', "utf-8"
    )
    assert read_class_names(file) == {"n01443537": (["金魚", "和金"], ""), "n01440764": (["テンチ"], "魚")}
    file.write_text(OMW, "utf-8")
    assert read_class_names(file) == {"n01443537": (["金魚", "和 金"], "")}
    for bad in (
        "",
        "{",
        "[]",
        '{"n01443537": []}',
        '{"n01443537": [1]}',
        '{"n": {"names": ["x"], "definition": 1}}',
    ):
        file.write_text(bad)
        with pytest.raises(UsageError, match="names"):
            read_class_names(file)
    with pytest.raises(UsageError, match="not readable"):
        read_class_names(tmp_path / "none")
