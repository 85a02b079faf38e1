"""The HTTP API: every image is what generate() makes of its input alone; refusals are sentences."""

from __future__ import annotations

import asyncio
import io
import json
import threading

import numpy as np
import pytest
from PIL import Image, ImageSequence

from support.bench import small, small_graph
from support.serving import Held, array, ask, asking, pictures, service
from winogen.network.directions import principal_directions
from winogen.runtime import latents
from winogen.runtime.generator import Generator
from winogen.runtime.pictures import Picture, transform
from winogen.service import guard, requests


@pytest.fixture(scope="module")
def made():
    with service(deadline_s=20.0) as found:
        yield found


@pytest.fixture(scope="module")
def alone():
    """Images of inputs, one by one, from a generator of its own."""
    with Generator(small(batch=4).program) as generator:

        def make(z):
            return np.concatenate([generator.generate(one[None]) for one in z])

        make.latents = generator.latents
        make.generate = generator.generate
        yield make


def post(made, name="small", *, app=None, **body):
    return ask(made, "POST", f"/generate/{name}", app=app, json=body)


def png(answer) -> np.ndarray:
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as picture:
        return np.asarray(picture)


# Images


def test_images_of_seeds(made, alone):
    out = array(post(made, seeds=[7, 3, 2**53 - 1], format="npy"))
    z = np.concatenate([alone.latents(1, seed) for seed in (7, 3, 2**53 - 1)])
    np.testing.assert_array_equal(out, alone(z))


def test_an_address_alone(made, alone):
    [one, two] = alone(np.concatenate([alone.latents(1, 7), alone.latents(1, 8)]))[..., 0]
    sheet = png(ask(made, "GET", "/generate/small?seed=7&n=2"))
    np.testing.assert_array_equal(sheet, np.hstack([one, np.full((8, 2), 255), two]))
    again = png(ask(made, "GET", "/generate/small?seed=7&seed=8&columns=1&scale=2"))
    assert again.shape == (2 * (8 + 2 + 8), 16)
    np.testing.assert_array_equal(again[:16], one.repeat(2, 0).repeat(2, 1))
    wide = png(ask(made, "GET", "/generate/small?seed=7&n=2&columns=1000"))
    np.testing.assert_array_equal(wide, sheet)  # and no column for an image that there is not
    np.testing.assert_array_equal(png(ask(made, "GET", "/generate/small")),
                                  alone(alone.latents(1, 0))[0, ..., 0])  # fmt: skip


def test_latents_as_json_and_as_an_array(made, alone):
    z = alone.latents(5, 1)
    expected = alone(z)
    np.testing.assert_array_equal(array(post(made, latents=z.tolist(), format="npy")), expected)
    buffer = io.BytesIO()
    for form in (z, np.asfortranarray(z.astype(np.float64))):
        buffer = io.BytesIO()
        np.save(buffer, form)
        answer = ask(
            made, "POST", "/generate/small?format=npy", content=buffer.getvalue(),
            headers={"content-type": "application/x-npy"},
        )  # fmt: skip
        np.testing.assert_array_equal(array(answer), expected)


def test_real_values(made, alone):
    out = array(post(made, seeds=[1], as_float=True, format="npy"))
    np.testing.assert_array_equal(out, alone.generate(alone.latents(1, 1), as_float=True))


def test_directions_and_truncation(made, alone):
    space = latents.LatentSpace.of("small", small().program.input)
    z = alone.latents(1, 4)
    vectors = principal_directions(small_graph())[:2]
    moved = latents.moved(space, z, vectors, np.array([[1.5, -2.0]]))
    cut = latents.truncated(space, moved, 0.7)
    out = array(post(made, seeds=[4], moves=[1.5, -2.0], truncate=0.7, format="npy"))
    np.testing.assert_array_equal(out, alone(cut))
    assert not np.array_equal(out, array(post(made, seeds=[4], truncate=0.7, format="npy")))


def test_a_program_file_has_drawn_directions(made):
    told = ask(made, "GET", "/programs/file").json()
    assert told["directions"] == 5 and "serve the model" in told["directions_are"]
    assert "found from its weights" in ask(made, "GET", "/programs/small").json()["directions_are"]


def test_walks(made, alone):
    space = latents.LatentSpace.of("small", small().program.input)
    keys = [alone.latents(1, seed) for seed in (3, 9)]
    z = np.concatenate(list(latents.walk(space, keys, 3)))
    walk = {"steps": 3, "fps": 10}
    out = array(post(made, seeds=[3, 9], walk=walk, format="npy"))
    np.testing.assert_array_equal(out, alone(z))
    for form in ("webp", "gif"):
        answer = post(made, seeds=[3, 9], walk=walk, format=form, scale=2)
        assert answer.headers["content-type"] == f"image/{form}"
        with Image.open(io.BytesIO(answer.content)) as picture:
            shown = [np.asarray(f.convert("L")) for f in ImageSequence.Iterator(picture)]
        np.testing.assert_array_equal(np.stack(shown), out[..., 0].repeat(2, 1).repeat(2, 2))


def test_a_webp_that_does_not_move(made, alone):
    answer = post(made, seeds=[5], format="webp")
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert getattr(picture, "n_frames", 1) == 1
        np.testing.assert_array_equal(
            np.asarray(picture.convert("L")), alone(alone.latents(1, 5))[0, ..., 0]
        )


@pytest.mark.parametrize("size", [(12, 16), (21, 30), (7, 9)])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_pictures(made, size, form):
    """Whole, in windows, padded: as transform makes them."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, size, np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, form)
    answer = ask(made, "POST", "/pictures/x2", content=buffer.getvalue())
    with Image.open(buffer) as sent, Generator(pictures()) as generator:
        expected = transform(generator, Picture(sent.convert("L"), None), resize=False)
    np.testing.assert_array_equal(png(answer), np.asarray(expected))
    as_array = ask(made, "POST", "/pictures/x2?format=npy", content=buffer.getvalue())
    np.testing.assert_array_equal(array(as_array)[..., 0], np.asarray(expected))


def test_requests_that_arrive_together_share_batches(alone):
    with service(gather_s=0.2) as made:

        async def together(client):
            return await asyncio.gather(
                *(client.get(f"/generate/small?seed={seed}&format=npy") for seed in range(12))
            )

        answers = asking(made, together)
        batches = [int(a.headers["x-winogen-batch"]) for a in answers]
        assert max(batches) > 4 and len(batches) == 12
        z = np.concatenate([alone.latents(1, seed) for seed in range(12)])
        np.testing.assert_array_equal(np.concatenate([array(a) for a in answers]), alone(z))
        assert made.dispatcher.watched.rounds < 6


def test_others_do_not_wait_for_quantiles(made, monkeypatch):
    """What a request does with its latents does not stop the answers to others."""
    begun, go = threading.Event(), threading.Event()
    whole = latents.truncated

    def slow(*what):
        begun.set()
        assert go.wait(10)
        return whole(*what)

    async def together(client):
        body = {"seeds": [1], "truncate": 0.5}
        first = asyncio.ensure_future(client.post("/generate/small", json=body))
        await asyncio.to_thread(begun.wait, 10)
        assert (await client.get("/health")).status_code == 200
        go.set()
        return await first

    monkeypatch.setattr(latents, "truncated", slow)
    assert asking(made, together).status_code == 200


# What is told


def test_programs_health_metrics_and_openapi(made):
    listed = ask(made, "GET", "/programs").json()
    assert [p["name"] for p in listed["programs"]] == ["small", "file", "x2"]
    assert listed["limits"]["images"] == 256
    assert [p["takes_pictures"] for p in listed["programs"]] == [False, False, True]
    assert listed["programs"][0]["images_per_second"]["predicted"] > 0
    assert ask(made, "GET", "/health").json()["status"] == "ok"
    post(made, seeds=[1, 2])
    text = ask(made, "GET", "/metrics")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    numbers = dict(line.rsplit(" ", 1) for line in text.text.splitlines() if line[0] != "#")
    assert float(numbers['winogen_images_total{program="small"}']) >= 2
    assert float(numbers["winogen_answer_seconds_count"]) >= 4
    assert (
        numbers['winogen_answer_seconds_bucket{le="+Inf"}']
        == (numbers["winogen_answer_seconds_count"])
    )
    api = ask(made, "GET", "/openapi.json").json()
    assert {"/generate/{program}", "/pictures/{program}", "/programs", "/health"} <= set(
        api["paths"]
    )
    body = api["paths"]["/generate/{program}"]["post"]["requestBody"]["content"]
    assert set(body["application/json"]["schema"]["properties"]) == set(
        requests.Generate.model_fields
    )
    assert "$ref" not in json.dumps(body)


def test_the_timeline_of_the_last_run(made):
    post(made, seeds=[1])
    answer = ask(made, "GET", "/timeline/small")
    assert answer.headers["content-type"] == "image/svg+xml"
    for word in ("predicted timeline of 1 images", "load", "compute", "store", "<rect"):
        assert word in answer.text
    post(made, seeds=[1, 2, 3, 4])
    assert "timeline of 4 images" in ask(made, "GET", "/timeline/small").text
    assert ask(made, "GET", "/timeline/x2").status_code in (200, 422)


def test_the_page_asks_no_other_host(made):
    for path in ("/", "/page.css", "/page.js"):
        answer = ask(made, "GET", path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "://" not in answer.text.replace("http://www.w3.org/2000/svg", "")


# What is refused


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "give seeds or latents"),
        ({"seeds": [1], "latents": [[0.0] * 5]}, "one of the two"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"seeds": [1.5]}, "seeds.0"),
        ({"seeds": [2**60]}, "seeds.0"),
        ({"seeds": list(range(300))}, "256 images, not 300"),
        ({"seeds": [0] * 65, "scale": 16, "format": "png"}, None),
        ({"latents": [[0.0] * 4]}, r"shape (1, 4), expected (N, 5)"),
        ({"latents": [[0.0] * 5, [0.0]]}, "lists of numbers of one length"),
        ({"latents": [["a"] * 5]}, "must be numbers"),
        ({"latents": [[1e39] * 5]}, "NaN or infinity"),
        ({"latents": [[True] * 5]}, "must be numbers"),
        ({"seeds": [1], "labels": [1]}, "takes 0 labels"),
        ({"seeds": [1], "moves": [1.0] * 6}, "5 directions, not 6"),
        ({"seeds": [1], "moves": [1e9]}, "moves.0"),
        ({"seeds": [1], "truncate": 0}, "truncate"),
        ({"seeds": [1], "format": "bmp"}, "format"),
        ({"seeds": [1], "format": "gif"}, "a gif moves"),
        ({"seeds": [1], "as_float": True}, "ask for the format npy"),
        ({"seeds": [1], "exit": 2}, "no exit 2"),
        ({"seeds": [1], "walk": {"steps": 0}}, "walk.steps"),
        ({"seeds": [1, 2], "walk": {"steps": 200}}, "256 frames, not 400"),
        ({"seeds": [1, 2], "walk": {"fps": 60}, "format": "gif"}, "at most 50"),
        ({"seeds": [0] * 200, "columns": 1, "scale": 16, "format": "webp"}, "16,383 rows"),
        ({"seeds": [1], "colour": "red"}, "colour"),
    ],
)
def test_refusals(made, body, reason):
    answer = post(made, **body)
    if reason is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 422
    text = answer.json()["error"]
    assert reason in text and "\n" not in text and len(text) < 300


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nothing", 404, "see /openapi.json"),
        ("PUT", "/generate/small", 405, "another method"),
        ("GET", "/generate/smal", 404, "did you mean 'small'?"),
        ("GET", "/generate/small?seed=x", 422, "seeds.0"),
        ("GET", "/generate/small?seed=1&n=0", 422, "'n' is 1 to"),
        ("GET", "/generate/small?seed=1&seed=2&n=3", 422, "beside one seed"),
        ("GET", "/generate/small?colour=red", 422, "no parameter 'colour'"),
        ("GET", "/generate/small?scale=2&scale=3", 422, "given twice"),
        ("POST", "/pictures/small", 422, "takes no pictures"),
        ("POST", "/pictures/x2", 422, "no picture that pillow knows"),
        ("POST", "/pictures/x2?scale=2", 422, "at the scale 1"),
        ("POST", "/generate/x2", 422, "JSON"),
        ("GET", "/generate/x2?truncate=1", 422, "no latents to truncate"),
    ],
)
def test_addresses_that_are_wrong(made, method, path, status, reason):
    answer = ask(made, method, path)
    assert answer.status_code == status
    assert reason in answer.json()["error"]


def test_a_token(made):
    app = {"token": "secret"}
    assert post(made, seeds=[1], app=app).status_code == 401
    wrong = ask(made, "GET", "/programs", app=app, headers={"authorization": "Bearer secre"})
    assert wrong.status_code == 401 and wrong.headers["www-authenticate"] == "Bearer"
    right = {"authorization": "Bearer secret"}
    assert ask(made, "GET", "/programs", app=app, headers=right).status_code == 200
    for path in ("/", "/page.js", "/health"):
        assert ask(made, "GET", path, app=app).status_code == 200


def test_other_names_and_other_pages(made):
    app = {"hosts": ["localhost", "127.0.0.1", "::1"]}
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:80", "[::1]:8000"):
        assert ask(made, "GET", "/health", app=app, headers={"host": host}).status_code == 200
    for host in ("evil.example", "evil.example:8000", "", "localhost.evil.example", "[::2]"):
        assert ask(made, "GET", "/health", app=app, headers={"host": host}).status_code == 421
    own = {"origin": "http://localhost", "host": "localhost"}
    assert ask(made, "GET", "/health", headers=own).status_code == 200
    other = {"origin": "http://evil.example"}
    assert ask(made, "POST", "/generate/small", headers=other, json={}).status_code == 403


def test_bodies_that_are_too_long():
    with service(body_bytes=1000) as made:
        answer = ask(made, "POST", "/generate/small", content=b"[" * 1001)
        assert answer.status_code == 413 and "1,000 bytes" in answer.json()["error"]

        async def endless():
            for _ in range(1000):
                yield b"0" * 100

        answer = ask(made, "POST", "/generate/small", content=endless())
        assert answer.status_code == 413


def test_bodies_that_come_together(monkeypatch):
    """What has come of them is in memory, whether or not all of it has."""
    monkeypatch.setattr(guard, "_MOST_BODIES", 2)
    with service(body_bytes=1000, body_s=10.0) as made:
        held, more = asyncio.Event(), asyncio.Event()

        async def slow(number):
            yield b"[" * 900
            if number == 1:
                held.set()
            await more.wait()
            yield b"["

        async def main(client):
            path = "/generate/small"
            begun = [asyncio.ensure_future(client.post(path, content=slow(n))) for n in range(2)]
            await held.wait()
            third = await client.post(path, content=b"[" * 900)
            more.set()
            first = [(await one).status_code for one in begun]
            return third, first, await client.post(path, content=b"[" * 900)

        third, first, after = asking(made, main)
        assert third.status_code == 429 and "retry-after" in third.headers
        assert first == [422, 422] and after.status_code == 422


def test_pictures_that_are_too_large():
    with service(pixels=1000) as made:
        buffer = io.BytesIO()
        Image.new("L", (400, 300)).save(buffer, "PNG")
        answer = ask(made, "POST", "/pictures/x2", content=buffer.getvalue())
        assert answer.status_code == 422
        assert "400 x 300 pixels, over 1,000" in answer.json()["error"]
        answer = post(made, seeds=[0] * 5, scale=2)
        assert answer.status_code == 422 and "1,000 pixels, not for 5" in answer.json()["error"]


# The queue


def test_a_full_queue_is_429_with_retry_after(monkeypatch):
    with service(waiting=4) as made:
        held = Held(made, monkeypatch)

        async def many(client):
            first = [asyncio.ensure_future(client.get("/generate/small?n=4"))]
            while not made.dispatcher.watched.rounds and not first[0].done():
                await asyncio.sleep(0.01)
                if made.dispatcher.waiting() == 0:
                    break
            first.append(asyncio.ensure_future(client.get("/generate/small?n=4&seed=1")))
            await asyncio.sleep(0.1)
            full = await client.get("/generate/small?n=1")
            held.gate.set()
            return full, [await f for f in first]

        full, done = asking(made, many)
        assert full.status_code == 429 and int(full.headers["retry-after"]) >= 1
        assert "wait already" in full.json()["error"]
        assert [a.status_code for a in done] == [200, 200]
        assert made.dispatcher.watched.full == 1


def test_a_deadline_is_408(monkeypatch):
    with service() as made:
        held = Held(made, monkeypatch)

        async def late(client):
            busy = asyncio.ensure_future(client.get("/generate/small"))
            await asyncio.sleep(0.05)
            answer = await client.get("/generate/small?deadline_ms=50")
            held.gate.set()
            return answer, await busy

        answer, busy = asking(made, late)
        assert answer.status_code == 408 and "within 0.05 s" in answer.json()["error"]
        assert busy.status_code == 200
        assert made.dispatcher.watched.images == 1  # it had left the queue


def test_a_picture_ends_at_its_deadline():
    image = Image.fromarray(np.zeros((300, 400), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    with service() as made:
        answer = ask(made, "POST", "/pictures/x2?deadline_ms=30", content=buffer.getvalue())
        assert answer.status_code == 408
        assert ask(made, "GET", "/generate/small").status_code == 200
        assert made.dispatcher.watched.late + made.dispatcher.watched.cancelled >= 1


def test_who_goes_away_leaves_the_queue(monkeypatch):
    with service() as made:
        held = Held(made, monkeypatch)

        async def gone(client):
            busy = asyncio.ensure_future(client.get("/generate/small"))
            await asyncio.sleep(0.05)
            leaves = asyncio.ensure_future(client.get("/generate/small?n=3"))
            await asyncio.sleep(0.05)
            assert made.dispatcher.waiting() == 3
            leaves.cancel()
            await asyncio.sleep(0.05)
            assert made.dispatcher.waiting() == 0
            held.gate.set()
            return await busy

        assert asking(made, gone).status_code == 200
        assert made.dispatcher.watched.images == 1


def test_while_it_ends_it_says_so():
    with service() as made:
        made.dispatcher.close(1)
        assert ask(made, "GET", "/health").status_code == 503
        answer = ask(made, "GET", "/generate/small")
        assert answer.status_code == 503 and "retry-after" in answer.headers


def test_names_in_addresses():
    from winogen.service.hosted import names_of

    models = ["digits", "a/digits.wg", "nets/my net.onnx", "x/", "..", "digits"]
    assert names_of(models) == ["digits", "digits-2", "my-net", "x", "program", "digits-3"]


def test_programs_of_a_board_share_it(alone, monkeypatch):
    """It is opened once, and closed at the end; here an emulated one stands for it."""
    from winogen.runtime.open import emulated_device, open_device
    from winogen.service import hosting, makers
    from winogen.service.limits import Limits

    opened = []

    def open_it(device, board, overlay, **options):
        assert device == "board"
        opened.append(open_device(emulated_device(board), board, overlay))
        return opened[-1]

    monkeypatch.setattr(makers, "open_device", open_it)
    named = [hosting.Named(name, small(batch=4).program, None) for name in "ab"]
    with hosting.hosting(named, Limits(), device="board") as made:
        for name in "ab":
            out = array(post(made, name, seeds=[2], format="npy"))
            np.testing.assert_array_equal(out, alone(alone.latents(1, 2)))
        assert len(opened) == 1
    assert opened[0].core.lease.closed
