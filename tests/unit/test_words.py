"""The words of generated passcodes: a list for each language, to be read out on the phone and typed on its keyboard."""

import math
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from unicodedata import is_normalized

import pytest

import seclink

STATIC = Path(seclink.__file__).parent / "static"
LANGUAGES = sorted(path.stem for path in (STATIC / "i18n").glob("*.js"))
WORDS = 1024  # ten bits each: four words have forty
# What is written differently and heard alike, by language, as pattern>replacement and in this order; doubled letters
# are heard as one. A language without a row is compared as it is written.
SOUNDS = {
    "de": "sch>S tsch>C chs>x ph>f v>f th>t dt>t ck>k c(?!h)>k qu>kw x>ks tz>z ie>i (?<=[aeiou])h(?![aeiou])> aa>a ee>e"
    " oo>o y>i ai>ei d$>t b$>p g$>k er$>a",
    "en": "ph>f wh>w ^kn>n ^wr>r gh> ck>k sch>sk ch>C sh>S c(?=[eiy])>s c>k q>k x>ks z>s (?<=[aeiou])t(?=[aeiou])>d"
    " tt(?=[aeiou])>d ea|ee|ie|ei|ey>i ai|ay>e oa|ow|ou>o oo|ew|ue>u y>i e$>",
    "es": "h(?!$)> v>b ll>y c(?=[ei])>s z|x>s qu>k gu(?=[ei])>g g(?=[ei])>j c(?!h)>k",
    "fr": "ph>f qu|q>k c(?=[eiy])>s ch>S c>k g(?=[eiy])>j h> eau|au>o ou>U (?<=[^aeiou])er$>É ez$|et$>É oi>wa ai|ei>E"
    " y>i ent$|ant$>A (?<=.)([stdxzp]|ds|ts|ps)$> ain|ein|in(?![aeiouyn])|im(?=[bp])>I [ea][nm](?![aeiouynm])>A"
    " o[nm](?![aeiouynm])>O un(?![aeiouyn])>I (?<=[aeiouyUEO])s(?=[aeiouyU])>z (?<=[^aeiou])e$>",
    "it": "ch>k gh>g sc(?=[ei])>S c(?=[ei])>C g(?=[ei])>J gn>N gli>L q>k h> z>s c>k",
    "nl": "ij|ei>E ou|au>A sch>sG ch|g>G v>f z>s c(?=[eiy])>s c|q>k x>ks ie>i oe>u uu>y aa>a ee>e oo>o th>t d$|dt$>t"
    " b$>p y>i",
    "pl": "ch>h rz>Z sz>S cz>C dz>D w>f (?<=[pktcf])Z>S b$>p d$>t g$>k [ZŻ]$>S z$>s D$>c i(?=[aeou])>j y>i",
    "pt": "lh>L nh>N ch>x ph>f h> ss>s c(?=[ei])>s qu>k gu(?=[ei])>g g(?=[ei])>j (?<=[aeiou])s(?=[aeiou])>z z$>s c>k"
    " o$>u e$>i l(?![aeiou])>u m$>n y>i",
    "ru": "ого$>ова [ьъ]> щ>ш тс|дс>ц о>а [еяэ]>и ы>и б$>п в$>ф г$>к д$>т ж$>ш з$>с ю>у стн>сн",
}


def words(language: str) -> list[str]:
    return (STATIC / f"words/{language}.txt").read_text("utf-8").split()


def sound(language: str) -> Callable[[str], str]:
    rules = [rule.rpartition(">")[::2] for rule in SOUNDS.get(language, "").split()]

    def heard(word: str) -> str:
        for pattern, replacement in [*rules, (r"(.)\1+", r"\1")]:
            word = re.sub(pattern, replacement, word)
        return word

    return heard


def one_letter_off(word: str) -> set[str]:
    """Return patterns: two words share one if they are equal, differ in one letter, or one has a letter more."""
    cuts = range(len(word) + 1)
    return {f"{word[:at]}?{word[at + skipped :]}" for skipped in (0, 1) for at in cuts}


def alike(candidates: list[str], patterns: Callable[[str], set[str]]) -> list[list[str]]:
    """Return the groups of words that share a pattern."""
    groups: dict[str, list[str]] = defaultdict(list)
    for word in candidates:
        for pattern in patterns(word):
            groups[pattern].append(word)
    return [group for group in groups.values() if len(group) > 1]


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_language_has_a_list_and_no_list_is_left_over() -> None:
    assert sorted(path.stem for path in (STATIC / "words").iterdir()) == LANGUAGES


def test_four_words_are_forty_bits(language: str) -> None:
    assert len(set(words(language))) == len(words(language)) == WORDS
    assert 4 * math.log2(WORDS) == 40
    assert words(language) == sorted(words(language))


def test_words_are_typed_without_trouble(language: str) -> None:
    """Small letters of one alphabet, without marks, so that they join with `-` and are NFC on every keyboard."""
    letters = re.compile(r"[а-я]{3,8}" if language == "ru" else r"[a-z]{3,8}")
    assert [word for word in words(language) if not letters.fullmatch(word) or not is_normalized("NFC", word)] == []


def heard_alike(candidates: list[str], language: str) -> list[list[str]]:
    heard = sound(language)
    return alike(candidates, lambda word: one_letter_off(heard(word)))


def test_no_two_words_are_spelled_or_sound_alike(language: str) -> None:
    assert alike(words(language), one_letter_off) == []
    assert heard_alike(words(language), language) == []


def test_a_word_is_known_by_its_first_four_letters(language: str) -> None:
    assert alike(words(language), lambda word: {word[:4]}) == []


@pytest.mark.parametrize(
    ("language", "pair"),
    [
        ("de", "fee vieh"), ("en", "metal medal"), ("es", "vaca baca"), ("fr", "seau saut"), ("it", "anno ano"),
        ("nl", "rijst reist"), ("pl", "wiek wieg"), ("pt", "cela sela"), ("ru", "компания кампания"),
        ("xx", "lamp lamps"),
    ],
)  # fmt: skip
def test_likeness_is_noticed(language: str, pair: str) -> None:
    assert heard_alike(pair.split(), language)
    assert not heard_alike(["window", "winter"], language)
