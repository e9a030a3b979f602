import pytest

from lrtool.loggers.names import HIDDEN, Names, as_setting, cleaned, flat, told, without_secrets


@pytest.mark.parametrize("name", ["", "..", "/", "a" * 1000, "<b>x</b>", "ü/學\n", "%s{}", " . "])
def test_any_name_is_cleaned(name):
    clean = cleaned(name)
    assert 0 < len(clean) <= 200 and not set(clean) & set("/<>\n%{}") and clean == clean.strip(" .")


def test_different_names_stay_different():
    names = Names()
    made = [names[name] for name in ("a/b", "a?b", "a_b", "a/b")]
    assert made == ["a_b", "a_b-2", "a_b-3", "a_b"]


def test_secrets_are_hidden_wherever_they_are():
    data = {"data": {"args": {"api_key": "x", "hf_token": "x", "password": "x", "url": "https://me:x@host"}}, "n": 3}
    args = without_secrets(data)["data"]["args"]
    assert args == {"api_key": HIDDEN, "hf_token": HIDDEN, "password": HIDDEN, "url": f"https://{HIDDEN}@host"}


def test_what_only_sounds_like_a_secret_is_shown():
    data = {"pad_token": "<pad>", "max_tokens": 3, "key": "lr", "secretary": "x", "tokenizer": "bpe", "token": 7}
    assert without_secrets(data) == data


def test_an_error_is_told_in_a_line():
    assert told(ValueError("a\n b")) == "a b" and told(ValueError()) == "ValueError"
    assert len(told(ValueError("x" * 1000))) == 300


def test_nested_data_has_dotted_names():
    assert flat({"a": {"b": [1, {"c": None}], "d": {}}, "e": "x"}) == {"a.b.0": 1, "e": "x"}
    assert as_setting([1, "ü"]) == '[1, "ü"]' and as_setting(True) is True
