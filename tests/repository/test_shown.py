"""What documents show as a command's output is what it prints now."""

from __future__ import annotations

import re

import pytest

from support.places import ROOT
from winogen.cli.main import main

#: Document, the first words of what is shown, and the commands of which the last prints it.
SHOWN = [
    ("use/accuracy.md", "layer    lowest", ["compile digits"]),
    ("use/accuracy.md", "verdict: visible errors", ["compile digits --percentile 95"]),
    ("use/accuracy.md", "layer    PSNR dB",
     ["compile digits -o digits.wg", "verify digits.wg --model digits"]),
    ("use/check.md", "tests/data/onnx_files/",
     [f"check {ROOT}/tests/data/onnx_files/dcgan-torchscript-18.onnx"]),
]  # fmt: skip

#: Words, and numbers, which a processor's float sums may round to the next in the last digit.
_PARTS = re.compile(r"(\d[\d,]*(?:\.\d+)?)|(\S)")


@pytest.mark.parametrize(("document", "begin", "commands"), SHOWN)
def test_a_document_shows_what_is_printed(document, begin, commands, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in commands:
        capsys.readouterr()
        main(command.split())
    printed = capsys.readouterr().out.replace(f"{ROOT}/", "")
    text = (ROOT / "docs" / document).read_text()
    (shown,) = re.findall(rf"^```\w*\n({re.escape(begin)}.*?)^```$", text, re.M | re.S)
    part = printed[printed.index(begin) :].splitlines()[: shown.count("\n")]
    for line, wanted in zip(part, shown.splitlines(), strict=True):
        assert is_near(line, wanted), f"{document}: {wanted!r}, and now {line!r}"


def is_near(line: str, wanted: str) -> bool:
    """Whether two lines are the same but for the last digit of fractions."""
    parts, others = _PARTS.findall(line), _PARTS.findall(wanted)
    return len(parts) == len(others) and all(
        word == other and _is_rounded(number, known)
        for (number, word), (known, other) in zip(parts, others)
    )


def _is_rounded(number: str, known: str) -> bool:
    digits = {len(n.partition(".")[2]) for n in (number, known)}
    if digits == {0} or len(digits) == 2:
        return number == known
    value, other = (float(n.replace(",", "")) for n in (number, known))
    return abs(value - other) < 1.5 * 10 ** -digits.pop()


def test_only_a_rounding_is_near():
    assert is_near("good: 37.0 dB, 5 of 24576", "good: 37.1 dB, 5 of 24576")
    for other in ("good: 37.2 dB, 5 of 24576", "good: 37.0 dB, 6 of 24576", "bad: 37.0 dB",
                  "good: 37.0 dB, 5 of 24,576", "good: 37 dB, 5 of 24576"):  # fmt: skip
        assert not is_near("good: 37.0 dB, 5 of 24576", other), other
