"""Writing files: whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from winogen.common import files
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_new_file_and_an_old_one(tmp_path):
    path = tmp_path / "a"
    for data in (b"first", b"", b"x" * 100_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
        assert names(tmp_path) == ["a"]


def test_the_file_has_the_usual_permissions(tmp_path):
    path = tmp_path / "a"
    old = os.umask(0o027)
    try:
        write_atomically(path, b"1")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_checking_leaves_nothing(tmp_path):
    check_writable(tmp_path / "a")
    assert names(tmp_path) == []


def test_a_missing_folder_and_a_folder(tmp_path):
    for check in (check_writable, lambda p: write_atomically(p, b"1")):
        with pytest.raises(InputError, match=r"folder .*none does not exist; create it first"):
            check(tmp_path / "none" / "a")
        with pytest.raises(InputError, match="it is a folder; name a file"):
            check(tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="does not exist"):
            check(tmp_path / "file" / "a")
        (tmp_path / "file").unlink()
    assert names(tmp_path) == []


def test_a_folder_that_refuses(tmp_path, monkeypatch):
    """As on a read-only disk; permissions alone stop nobody who is root."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    for check in (check_writable, lambda p: write_atomically(p, b"1")):
        with pytest.raises(InputError, match=r"cannot write .*/a: Read-only file system"):
            check(tmp_path / "a")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_on_the_way_keeps_the_old_file(call, tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(InputError, match=r"cannot write .*/a: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"new")
    assert names(tmp_path) == []


def test_a_link_is_replaced_and_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(target)
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").read_bytes() == b"new"
    assert target.read_bytes() == b"precious"
