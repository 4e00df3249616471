"""The page's QR codes, drawn by node: read by an independent decoder, and compared with segno's module by module."""

import itertools
import json
import random
import re
import shutil
import string
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import segno
import zxingcpp
from PIL import Image
from support.waiting import TIMEOUT_SECONDS

MODULE = Path(__file__).parents[2] / "seclink/static/js/qr.js"
CAPACITY = (14, 26, 42, 62, 84, 106, 122, 152, 180, 213)  # bytes at level M, by version from 1 on
ID, FRAGMENT = "AbCdEf123456", "vYk3_mQ9-rT2wX8zLcD5hF7jN1pB4sG6aE0uK-qZiOt"

Symbol = list[list[int]]
Draw = Callable[[list[str]], list[Any]]  # symbols, or the name of the error


@pytest.fixture(scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Draw:
    """Texts to symbols in one process; the name of the error where there is none."""
    folder = tmp_path_factory.mktemp("qr")
    shutil.copy(MODULE, folder / "qr.mjs")  # so named, every node takes it for a module
    program = """
        import { readFileSync } from "node:fs";
        import { qr } from "./qr.mjs";
        const drawn = (text) => { try { return qr(text).map((row) => row.map(Number)); } catch (e) { return e.name; } };
        console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(drawn)));
    """
    (folder / "draw.mjs").write_text(program)

    def drawn(texts: list[str]) -> list[Any]:
        command = ["node", str(folder / "draw.mjs")]
        done = subprocess.run(
            command, input=json.dumps(texts), capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
        )
        symbols: list[Any] = json.loads(done.stdout)
        return symbols

    return drawn


def read(symbol: Symbol) -> str:
    """Return what a scanner reads from the code, with four pixels a module and the quiet zone around it."""
    picture = Image.new("L", (len(symbol) + 8,) * 2, 255)
    modules = bytes(0 if dark else 255 for row in symbol for dark in row)
    picture.paste(Image.frombytes("L", (len(symbol),) * 2, modules), (4, 4))
    large = picture.resize((4 * picture.width,) * 2, Image.Resampling.NEAREST)
    match = zxingcpp.read_barcodes(large, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    assert [item.ec_level for item in match] == ["M"]
    return str(match[0].text)


def version(symbol: Symbol) -> int:
    return (len(symbol) - 17) // 4


def mask(symbol: Symbol) -> int:
    """Return the mask that the format information names (7.9): three modules left of the corner, themselves masked."""
    return int("".join(str(dark) for dark in symbol[8][2:5]), 2) ^ 0b101


def penalty(symbol: Symbol) -> int:
    """Table 11 in other words, on texts of 0 and 1."""
    rows = ["".join(map(str, row)) for row in symbol]
    lines = [*rows, *("".join(column) for column in zip(*rows, strict=True))]
    runs = sum(len(run[0]) - 2 for line in lines for run in re.finditer("0{5,}|1{5,}", line))
    finders = sum(len(re.findall("(?=1011101(?=0000)|(?<=0000)1011101)", f"0000{line}0000")) for line in lines)
    squares = sum(
        len({*above[at : at + 2], *below[at : at + 2]}) == 1
        for above, below in itertools.pairwise(rows)
        for at in range(len(rows) - 1)
    )
    steps = abs(sum(map(sum, symbol)) * 100 / len(rows) ** 2 - 50) // 5
    return runs + 40 * finders + 3 * squares + 10 * int(steps)


def by_segno(text: str, mask: int) -> Symbol:
    created = segno.make(text.encode(), mode="byte", micro=False, error="m", boost_error=False, mask=mask)
    return [list(row) for row in created.matrix]


def test_every_version_is_read_back_and_is_the_smallest(draw: Draw) -> None:
    sizes = [size for max_length in CAPACITY for size in (max_length, max_length + 1)][:-1]
    for size, symbol in zip(sizes, draw(["q" * size for size in sizes]), strict=True):
        assert read(symbol) == "q" * size
        assert version(symbol) == next(at + 1 for at, max_length in enumerate(CAPACITY) if size <= max_length)


def test_full_symbols_are_segnos_module_by_module_with_the_least_penalised_mask(draw: Draw) -> None:
    # Full, because segno 1.6 pads otherwise: it puts a whole byte of zeros where none is wanted.
    texts = ["".join(random.Random(item).choices(string.printable, k=size)) for item in range(4) for size in CAPACITY]
    for text, symbol in zip(texts, draw(texts), strict=True):
        candidates = [by_segno(text, number) for number in range(8)]
        assert symbol == candidates[mask(symbol)]
        assert penalty(symbol) == min(map(penalty, candidates))


def test_links_are_read_back(draw: Draw) -> None:
    servers = ["http://[::1]:8080", "https://s.example", "https://secrets.a-longer-name.example.org/some/prefix"]
    texts = [f"{server}/{ID}#{FRAGMENT}" for server in servers]
    texts += [f"https://{'x' * (213 - 10 - len(ID + FRAGMENT))}/{ID}#{FRAGMENT}"]
    assert [read(symbol) for symbol in draw(texts)] == texts


def test_any_text_of_any_length_is_read_back(draw: Draw) -> None:
    drawn = random.Random(18004)
    alphabet = string.ascii_letters + string.digits + string.punctuation + "éßçñЖщ中文字✓🔑🙂"
    texts = []
    for size in range(1, 214):
        text = "".join(drawn.choices(alphabet, k=size))
        while len(text.encode()) > size:
            text = text[:-1]
        texts += [text or "-", "".join(drawn.choices(string.ascii_letters, k=size))]
    assert [read(symbol) for symbol in draw(texts)] == texts


def test_nothing_at_all_is_a_symbol_too(draw: Draw) -> None:
    assert [version(symbol) for symbol in draw([""])] == [1]


def test_too_long_texts_are_rejected(draw: Draw) -> None:
    assert draw(["q" * 214, "é" * 107, "q" * 5000]) == ["RangeError"] * 3
