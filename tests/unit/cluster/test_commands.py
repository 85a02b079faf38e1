"""``winogen worker``, ``winogen run --cluster`` and ``serve --cluster`` as their users see them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.bench import small
from support.children import child
from support.cluster import farm, free_port
from support.command_line import pixels, refuse, run
from winogen.cli.main import main
from winogen.cluster import needed
from winogen.cluster.cluster import Cluster
from winogen.common.errors import ClusterError
from winogen.compiler.compile import compile_graph
from winogen.network.graph import InputSpec
from winogen.target.board import load_board


@pytest.fixture(scope="module")
def lab():
    with farm(2) as made:
        yield made


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "small.wg"
    small(batch=4).program.save(path)
    return path


def test_run_gives_the_same_files(lab, program, tmp_path, capsys):
    one, many = tmp_path / "one.npy", tmp_path / "many.npy"
    run(capsys, "run", program, "-n", 50, "-o", one)
    said = run(capsys, "run", program, "-n", 50, "-o", many, "--cluster", lab.address)
    assert many.read_bytes() == one.read_bytes() and "from the cluster" in said
    moving = {"walk.gif": ("--walk", 2, "--steps", 3), "grid.png": ("--grid", "3x3")}
    for name, options in moving.items():
        run(capsys, "run", program, *options, "-o", tmp_path / f"1-{name}")
        run(capsys, "run", program, *options, "-o", tmp_path / f"2-{name}",
            "--cluster", lab.address)  # fmt: skip
        assert (tmp_path / f"1-{name}").read_bytes() == (tmp_path / f"2-{name}").read_bytes()


def test_pictures_in_windows(lab, tmp_path, capsys):
    from support.random_graphs import GraphBuilder

    b = GraphBuilder(0, (1, 12, 16))
    b.input = InputSpec((1, 12, 16), "image", "uniform", None, (0, 1))
    b.conv(4)
    b.activation("relu")
    b.deconv(1)
    b.activation("sigmoid")
    compile_graph(b.graph("x2", (0, 1)), load_board("tiny"), batch=2).program.save(
        tmp_path / "x2.wg"
    )
    picture = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    Image.fromarray(picture).save(tmp_path / "p.png")
    shared = ("run", tmp_path / "x2.wg", "--input", tmp_path / "p.png", "-o")
    run(capsys, *shared, tmp_path / "one.png")
    run(capsys, *shared, tmp_path / "many.png", "--cluster", lab.address)
    np.testing.assert_array_equal(pixels(tmp_path / "one.png"), pixels(tmp_path / "many.png"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--device", "emulator"), "--device is for the device of a worker"),
        (("--check=2",), "--check is for the device of a worker"),
        (("--wait", "poll"), "--wait is for the device of a worker"),
        (("--profile",), "--profile is for one device"),
        (("--cluster", "lab"), "'lab' is no address of a scheduler"),
    ],
)
def test_options_that_do_not_go_with_it(program, tmp_path, capsys, options, words):
    address = "tcp://127.0.0.1:1"
    said = refuse(capsys, tmp_path, "run", program, "--cluster", address, *options)
    assert words in said


def test_without_dask(program, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(needed, "find_spec", lambda name: None)
    for command in (("run", program, "--cluster", "lab:1"), ("worker", "lab:1")):
        said = refuse(capsys, tmp_path, *command)
        assert "pip install 'winogen[cluster]'" in said


def test_a_worker_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    assert "is no address" in refuse(capsys, tmp_path, "worker", "http://lab:80")
    assert "--bits is for --board" in refuse(capsys, tmp_path, "worker", "lab:1", "--bits", 16)
    assert "cannot read program" in refuse(capsys, tmp_path, "worker", "lab:1", tmp_path / "no.wg")
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", "192.168.2.98,192.168.2.99")
    assert "names several boards" in refuse(capsys, tmp_path, "worker", "lab:1")


def test_a_worker_without_a_scheduler(monkeypatch, tmp_path, capsys):
    from winogen.cluster import worker

    monkeypatch.setattr(worker, "CONNECT_SECONDS", 0.5)
    begin = time.monotonic()
    assert main(["worker", f"127.0.0.1:{free_port()}", "--device", "emulator"]) == 2
    assert time.monotonic() - begin < 8
    assert "no scheduler at tcp://127.0.0.1:" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_from_begin_to_end(lab, program, number):
    command = [sys.executable, "-m", "winogen", "worker", lab.address, program, "--name",
               f"own-{number}"]  # fmt: skip
    environment = {**os.environ, "WINOGEN_DEVICE": "emulator"}
    with (
        child(command, stdout=subprocess.PIPE, text=True, env=environment) as process,
        Cluster(lab.address, program) as cluster,
    ):
        cluster.wait_for(3, 30)
        out = cluster.generate(cluster.latents(200))
        assert len(out) == 200 and cluster.parallel == 3
        process.send_signal(number)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert f"worker own-{number} at tcp://" in said
    assert said.endswith("ended: the device is given back\n")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")
def test_certificates(tmp_path, monkeypatch):
    """tls:// by Dask's own configuration; who has no certificate gets one sentence."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True,
    )  # fmt: skip
    files = {
        f"DASK_DISTRIBUTED__COMM__TLS__{who}__{what}": str(path)
        for who in ("SCHEDULER", "WORKER", "CLIENT")
        for what, path in (("CERT", certificate), ("KEY", key))
    }
    environment = {**os.environ, **files, "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(certificate)}
    address = f"tls://127.0.0.1:{free_port()}"
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address,
                 "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]  # fmt: skip
    worker = [sys.executable, "-m", "winogen", "worker", address, "--device", "emulator"]
    own = small(batch=4).program
    distributed = pytest.importorskip("distributed")
    safe = distributed.Security(
        tls_ca_file=str(certificate), tls_client_cert=str(certificate), tls_client_key=str(key),
        require_encryption=True,
    )  # fmt: skip
    with (
        child(scheduler, env=environment, stderr=subprocess.DEVNULL),
        child(worker, env=environment, stdout=subprocess.PIPE),
        Cluster(address, own, security=safe, patience=20) as cluster,
    ):
        cluster.wait_for(1, 30)
        assert len(cluster.generate(cluster.latents(20))) == 20
        assert cluster.workers()[0].address.startswith("tls://")
        for other in (address, address.replace("tls", "tcp")):
            with pytest.raises(ClusterError, match="no scheduler at"):
                Cluster(other, own, patience=5)


def test_two_workers_of_one_name(lab, program, tmp_path, capsys):
    with Cluster(lab.address, program) as cluster:
        cluster.wait_for(2, 30)
    assert main(["worker", lab.address, "--device", "emulator", "--name", "w-0"]) == 2
    assert "refuses it" in capsys.readouterr().err


def test_a_service_of_a_cluster(lab, program):
    from support.serving import array, ask
    from winogen.service.hosting import Named, hosting
    from winogen.service.limits import Limits

    own = small(batch=4).program
    with Cluster(lab.address, own) as cluster:
        cluster.wait_for(2, 30)
        expected = cluster.generate(np.concatenate([cluster.latents(1, s) for s in range(20)]))
    opened = partial(Cluster, lab.address)
    with hosting([Named("small", own, None)], Limits(), opened=opened) as made:
        body = {"seeds": list(range(20)), "format": "npy"}
        answer = ask(made, "POST", "/generate/small", json=body)
        np.testing.assert_array_equal(array(answer), expected)
        timeline = ask(made, "GET", "/timeline/small")
        assert timeline.status_code == 422 and "one device" in timeline.json()["error"]
