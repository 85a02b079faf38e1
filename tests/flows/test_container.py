"""The Dockerfile: what it names exists, and its steps, in order, end in a service that answers."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

import winogen
from support.places import ROOT
from support.serving import listening, service
from winogen.cli.board_kit import _SOURCES
from winogen.cli.main import _parser
from winogen.service.limits import Limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Seconds in which the service must answer, and a step be done.
START_SECONDS = 60
STEP_SECONDS = 900


def steps() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile and what they say, in order."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines if line]


def said(instruction: str) -> list[str]:
    return [words for name, words in steps() if name == instruction]


def health() -> list[str]:
    """The command of the health check."""
    (words,) = said("HEALTHCHECK")
    return json.loads(words[words.index("CMD") + len("CMD") :])


def command() -> list[str]:
    """What the container runs."""
    (entry,), (default,) = said("ENTRYPOINT"), said("CMD")
    return [*json.loads(entry), *json.loads(default)]


def copied() -> list[str]:
    """Files and folders that get into the image."""
    return [name for words in said("COPY") for name in words.split()[:-1]]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path get to the builder: the last line that matches decides."""
    parts = PurePosixPath(path).parts
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        if pattern.startswith("**/"):
            matches = any(fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            assert "/" not in pattern, "this reader knows names of the top level and **/ alone"
            matches = fnmatchcase(above[0], pattern)
        sent = line.startswith("!") if matches else sent
    return sent


# --- what it says --------------------------------------------------------------------------------


def test_it_copies_what_a_wheel_is_built_from():
    assert sorted(copied()) == sorted(_SOURCES)
    assert [name for name in copied() if not (ROOT / name).exists()] == []
    assert [name for name in copied() if not is_sent(name)] == []


def test_nothing_else_is_sent_to_the_builder():
    others = {p.name for p in ROOT.iterdir()} - set(_SOURCES)
    assert {".git", "tests", "docs"} <= others | {".git"}
    assert [name for name in [*others, ".git"] if is_sent(name)] == []
    assert is_sent("driver/winogen/version.py")
    assert not is_sent("driver/winogen/__pycache__/version.cpython-311.pyc")
    assert not is_sent("driver/winogen.egg-info/PKG-INFO")


def test_its_python_and_its_extras_are_winogens():
    (image,) = said("FROM")
    version = re.fullmatch(r"python:(3\.\d+)-slim", image)[1]
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]
    (install,) = [words for words in said("RUN") if "pip install" in words]
    extras = re.search(r"\.\[([\w,]+)\]", install)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"]) and "serve" in extras


def test_it_runs_as_a_user_that_was_made_and_is_not_root():
    names = [name for name, _ in steps()]
    (user,) = said("USER")
    assert user not in ("root", "0")
    made = [words for words in said("RUN") if words.startswith("useradd ")]
    assert [shlex.split(words)[-1] for words in made] == [user]
    last = max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))
    assert last < names.index("USER") < names.index("ENTRYPOINT")


def test_the_command_is_one_and_listens_where_the_image_says():
    program, *words = command()
    assert program in PROJECT["scripts"]
    options = _parser().parse_args(words)
    assert options.models == ["digits"] and options.host == "0.0.0.0" and not options.token
    assert said("EXPOSE") == [str(options.port)]
    assert f"http://127.0.0.1:{options.port}/health" in health()[-1]


def test_the_health_check():
    """Well while work is taken; neither once the service ends, nor where there is none."""
    assert health()[:2] == ["python", "-c"]
    with service() as made:
        with listening(made, Limits()) as port:
            code = health()[2].replace(":8000/", f":{port}/")
            exec(code, {})
            made.dispatcher.close(1)
            with pytest.raises(urllib.error.HTTPError, match="503"):
                exec(code, {})
        with pytest.raises(urllib.error.URLError):
            exec(code, {})


# --- what it does --------------------------------------------------------------------------------


@pytest.fixture
def free_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    yield port


@pytest.mark.long
def test_its_steps_in_order(tmp_path, free_port):
    """In an empty folder and an empty environment, in place of the image; without a compiler.

    What this cannot show: the base image, whose Python is the one that runs this, and the user,
    whose home is all that there is of it.
    """
    root, environment = tmp_path / "root", tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=STEP_SECONDS)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL", "WINO"))}
    variables = {**kept, "PATH": f"{environment}/bin:/usr/bin:/bin", "CC": "false", "CXX": "false"}
    folder = root
    for instruction, words in steps():
        if instruction == "ENV":
            variables |= dict(pair.split("=", 1) for pair in shlex.split(words))
        elif instruction == "WORKDIR":
            folder = root / words.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY":
            copy(words, folder)
        elif instruction == "RUN" and words.startswith("useradd "):
            (root / "home" / shlex.split(words)[-1]).mkdir(parents=True)
        elif instruction == "RUN":
            done = subprocess.run(
                ["sh", "-c", words], cwd=folder, env=variables, capture_output=True, text=True,
                timeout=STEP_SECONDS,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        elif instruction == "USER":
            variables["HOME"] = str(root / "home" / words)
        else:
            assert instruction in ("FROM", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD")
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command(), "--port", str(free_port)], cwd=folder, env=variables,
            executable=environment / "bin" / command()[0], stdout=output, stderr=output,
        )  # fmt: skip
    try:
        check(process, variables, free_port, log)
    finally:
        process.kill()
        process.wait()
    assert sorted(folder.iterdir()) == []


def copy(words: str, folder: Path) -> None:
    """As the builder does: without what .dockerignore names."""
    *sources, target = words.split()
    for source in sources:
        path = ROOT / source
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        for file in files:
            if not is_sent(file.relative_to(ROOT).as_posix()):
                continue
            inside = file.relative_to(path) if path.is_dir() else file.name
            to = folder / target / inside
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)


def check(process: subprocess.Popen, variables: dict[str, str], port: int, log: Path) -> None:
    """It becomes healthy, answers what winogen makes here, and ends in good order."""
    program, *words = health()
    probe = [f"{Path(variables['PATH'].split(':')[0]) / program}", *words]
    probe[-1] = probe[-1].replace(":8000/", f":{port}/")
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(probe, env=variables, capture_output=True, timeout=30).returncode:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    address = f"http://127.0.0.1:{port}/generate/digits?seed=7&format=npy"
    with urllib.request.urlopen(address, timeout=30) as answer:
        served = np.load(io.BytesIO(answer.read()))
    with winogen.Generator(winogen.compile_model("digits")) as generator:
        expected = generator.generate(generator.latents(1, 7))
    np.testing.assert_array_equal(served, expected)
    process.terminate()
    assert process.wait(60) == 0, log.read_text()
    assert "--token keeps others out" in log.read_text()
    assert "ended: 1 images" in log.read_text()
