"""Commands as their users see them: what they print, and the one sentence of a refusal."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from winogen.cli.main import main


def refuse(capsys, out: Path, *arguments: object) -> str:
    """The one sentence with which a command ends; it has written nothing."""
    before = sorted(out.iterdir())
    code = main([str(a) for a in arguments])
    text = capsys.readouterr().err
    assert code == 2
    assert text.startswith("winogen: ")
    assert text.count("\n") == 1
    assert len(text) < 600
    assert "Traceback" not in text
    assert not re.search(r"\b\w+Error\b", text), text
    assert sorted(out.iterdir()) == before
    return text


def run(capsys, *arguments: object) -> str:
    assert main([str(a) for a in arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def pixels(path: Path) -> np.ndarray:
    """A PNG's pixels."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.array(picture)
