"""No text is missing, left over or half translated, and a language is one file."""

import functools
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import seclink
from seclink.config.schema import Config
from seclink.errors import BY_CODE
from seclink.web import assets

STATIC = Path(seclink.__file__).parent / "static"
FIRST = "en"
LANGUAGES = sorted(path.stem for path in (STATIC / "i18n").glob("*.js"))
# By language: its plural categories, and whether "one" is for the number 1 alone, so that "once" needs no number. (In
# some it is for 0 too, which the texts never say.)
PLURAL_RULES = """
const languages = JSON.parse(process.argv[1]);
const rules = languages.map((language) => new Intl.PluralRules(language));
const isOne = (rule, number) => rule.select(number) === "one";
const numbers = Array.from({ length: 1000 }, (_, index) => index + 2);
console.log(JSON.stringify(Object.fromEntries(rules.map((rule, index) => [languages[index], {
  categories: rule.resolvedOptions().pluralCategories, oneIsOne: !numbers.some((number) => isOne(rule, number)),
}]))));
"""

Texts = dict[str, str | dict[str, str]]


@functools.cache
def plural_rules() -> Any:
    """Ask the engine of the pages, as they do."""
    done = subprocess.run(["node", "-e", PLURAL_RULES, json.dumps(LANGUAGES)], capture_output=True, check=True)
    return json.loads(done.stdout)


def source(language: str) -> str:
    return (STATIC / "i18n" / f"{language}.js").read_text("utf-8")


def texts(language: str) -> Texts:
    """Everything between `export default ` and `;`, which is strict JSON without a key twice."""
    match = re.fullmatch(r"export default (\{.*\});\n", source(language), re.DOTALL)
    assert match, f"{language}.js is not one dictionary"
    pairs = json.loads(match[1], object_pairs_hook=distinct)
    assert isinstance(pairs, dict)
    return pairs


def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key stands twice: {sorted(key for key in keys if keys.count(key) > 1)}"
    return dict(pairs)


def forms(text: str | dict[str, str]) -> dict[str, str]:
    return text if isinstance(text, dict) else {"": text}


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def layout(language: str) -> list[str]:
    """Each line's key, or that it is empty."""
    return [re.sub(r'^  ("[\w.]+"): .*', r"\1", line) for line in source(language).splitlines()]


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_keys_are_the_first_languages_in_its_order_a_line_each(language: str) -> None:
    assert list(texts(language)) == list(texts(FIRST))
    assert layout(language) == layout(FIRST)


def test_no_text_is_empty_or_has_space_around_it(language: str) -> None:
    for key, text in texts(language).items():
        for form in forms(text).values():
            assert form.strip(), f"{key} is empty"
            assert form.strip(" \u00a0\u202f\t") == form, f"{key} has space around it"
            assert "  " not in form, f"{key} has two spaces"


def test_plurals_have_every_category_of_the_language_and_no_other(language: str) -> None:
    """Besides them, a number may have a form of its own, such as "2": "twice"."""
    for key, text in texts(language).items():
        assert isinstance(text, str) == isinstance(texts(FIRST)[key], str), f"{key} is a plural in one language only"
        if isinstance(text, dict):
            assert {form for form in text if not form.isdigit()} == set(plural_rules()[language]["categories"]), key


def test_placeholders_are_the_first_languages_in_every_form(language: str) -> None:
    for key, text in texts(language).items():
        first = forms(texts(FIRST)[key])
        expected = placeholders(first.get("other", first.get("", "")))
        says_once = "count" not in placeholders(first.get("one", "{count}"))
        without_number = says_once and plural_rules()[language]["oneIsOne"]
        for category, form in forms(text).items():
            says_number = category.isdigit() or (category == "one" and without_number)
            may_lack = {"count"} if says_number else set()
            assert placeholders(form) | may_lack == expected | may_lack, f"{key} {category}"
            assert form.count("{") == form.count("}") == len(re.findall(r"\{\w+\}", form)), f"{key} has a stray brace"


def test_lines_are_broken_where_the_first_language_breaks_them(language: str) -> None:
    """The printed sheet goes by the lines of the message: the first is left out, the link stands on its own."""
    for key, text in texts(language).items():
        (breaks,) = {form.count("\n") for form in forms(texts(FIRST)[key]).values()}
        assert {form.count("\n") for form in forms(text).values()} == {breaks}, key
    assert "{link}" in str(texts(language)["message.text"]).split("\n")[1:]
    assert str(texts(language)["message.passcode"]).startswith("\n")


def test_options_and_addresses_are_called_by_their_names_in_every_language(language: str) -> None:
    for key, text in texts(FIRST).items():
        names = set(re.findall(r"\b(?:server\.\w+|https?://\w*)", str(text)))
        assert names == set(re.findall(r"\b(?:server\.\w+|https?://\w*)", str(texts(language)[key]))), key


def test_french_punctuation_does_not_lose_its_sign_to_the_next_line() -> None:
    for key, text in texts("fr").items():
        for form in forms(text).values():
            assert not re.search(r" [;:?!»]|« ", form), f"{key} has a space that breaks"
            assert not re.search(r"[^\u202f][;?!]|[^\u00a0]:(?!//)|[^\u00a0]»|«[^\u00a0]", form), f"{key} lacks a space"


def test_spanish_questions_are_opened() -> None:
    for key, text in texts("es").items():
        for form in forms(text).values():
            assert form.count("¿") == form.count("?"), key
            assert form.count("¡") == form.count("!"), key


def asked_for() -> tuple[set[str], set[tuple[str, str]]]:
    """The keys that the pages and scripts name, and the beginnings and ends of those that they put together."""
    sections = "|".join({key.partition(".")[0] for key in texts(FIRST)} - {"language"})
    scripts = "".join(path.read_text("utf-8") for path in (STATIC / "js").rglob("*.js"))
    keys = set(re.findall(rf'"((?:{sections})\.\w+)"', scripts))
    for path in STATIC.glob("*.html"):
        keys |= set(re.findall(r'data-t(?:-[a-z]+)?="([^"]*)"', path.read_text("utf-8")))
    return keys, set(re.findall(rf"`((?:{sections})\.\w*)\$\{{[^{{}}]+\}}(\w*)`", scripts))


def test_no_key_is_missing_and_none_is_left_over() -> None:
    named, built = asked_for()
    known = set(texts(FIRST))
    assert named - known == set(), "asked for, but there is no text"
    meant = {key for key in known for first, last in built if key.startswith(first) and key.endswith(last)}
    assert known - named - meant - {"language"} == set(), "a text nobody asks for"
    for first, last in built:
        assert any(key.startswith(first) and key.endswith(last) for key in known), f"no text is {first}...{last}"


def test_page_loads_the_texts_it_needs() -> None:
    """Also those of the modules that it loads later; the modules of the formats, and the client's, name none."""
    files = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in STATIC.rglob("*.js")}
    every = {str(key): str(key) for key in texts(FIRST)}
    unread = {name for name in files if not name.startswith("i18n/")}
    for path in STATIC.glob("*.html"):
        page = path.read_text("utf-8")
        loaded = set(assets.read_texts(assets.page_texts(page, files, every)))
        start = [name for name in files if f'/{name}"' in page]
        scripts = list(start)
        for name in scripts:  # and so on with those that it adds
            named = re.findall(r'(?:import\(|from )"\./([\w-]+\.js)"', files[name].decode())
            scripts += dict.fromkeys(f"js/{later}" for later in named if f"js/{later}" not in scripts)
        unread -= set(scripts)
        source = assets.WITHOUT_SCRIPT.sub("", page) + "".join(files[name].decode() for name in scripts)
        assert {key for key in every if f'"{key}"' in source} <= loaded, path.stem
        for beginning in re.findall(r"`(\w+\.\w*)\$\{", source):
            assert {key for key in every if key.startswith(beginning)} <= loaded, path.stem
        assert len(loaded) < 0.65 * len(every), path.stem
    for name in unread:
        assert not [key for key in every if f'"{key}"' in files[name].decode()], name


def test_no_error_is_explained_that_cannot_come() -> None:
    """Codes are put together with `error.`, so the test above takes them as they are."""
    explained = {key.removeprefix("error.") for key in texts(FIRST) if key.startswith("error.")}
    assert explained - set(BY_CODE) - {"bad_answer", "missing", "other"} == set()


def test_a_language_is_added_by_adding_one_file(tmp_path: Path) -> None:
    """It need not even be whole: what it lacks is said in the first language."""
    folder = tmp_path / "static"
    shutil.copytree(STATIC, folder)
    before = assets.load(Config(), "https://secrets.example", folder)
    (folder / "i18n" / "tok.js").write_text(
        'export default {\n  "language": "toki pona",\n  "create.title": "o pana e ijo len"\n};\n', "utf-8"
    )
    after = assets.load(Config(), "https://secrets.example", folder)
    assert set(after.languages) - set(before.languages) == {"tok"}
    pages = {name for name, language in after.pages if language == "tok"}
    assert pages == {path.stem for path in folder.glob("*.html")} - set(assets.TEMPLATES)
    page = after.pages["create", "tok"].decode()
    assert '<html lang="tok"' in page
    assert "o pana e ijo len" in page
    assert str(texts(FIRST)["create.submit"]) in page
    settings = re.search(r'data-settings="([^"]*)"', after.pages["create", FIRST].decode())
    assert settings
    assert json.loads(html.unescape(settings[1]))["languages"]["tok"] == "toki pona"
    assert after.files["words/tok.txt"] == after.files["words/en.txt"]  # until it has a list of its own
