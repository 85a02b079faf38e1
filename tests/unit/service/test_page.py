"""The page in a browser: what it shows is what the service answers, by hand and by keyboard."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from support.bench import named, small, small_graph
from support.browser import Page, browser, page
from support.serving import listening, service
from winogen.compiler.compile import compile_graph
from winogen.network.directions import principal_directions
from winogen.runtime import latents
from winogen.runtime.generator import Generator
from winogen.service.hosting import Named, hosting
from winogen.service.limits import Limits

pytestmark = pytest.mark.skipif(browser() is None, reason="there is no chromium or chrome")

#: The canvas's pixels: the red of each, since the images are grey.
CANVAS = """(() => {
  const c = document.getElementById("canvas");
  const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  return [c.height, c.width, ...Array.from(d).filter((_, i) => i % 4 === 0)];
})()"""


#: Whether the first timeline was asked for after the first images had come.
AFTER = """(() => {
  const all = performance.getEntriesByType("resource");
  const first = (what) => all.find((one) => one.name.includes(what));
  return first("/timeline/").startTime >= first("/generate/").responseEnd;
})()"""


@pytest.fixture(scope="module")
def made():
    with service() as found:
        yield found


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with page(tmp_path_factory.mktemp("browser")) as found:
        yield found


def canvas(window: Page) -> np.ndarray:
    height, width, *values = window.run(CANVAS)
    return np.array(values, np.uint8).reshape(height, width)


def shown(window: Page, expected: np.ndarray) -> None:
    """Wait until the canvas shows it."""
    for _ in range(100):
        now = canvas(window)
        if np.array_equal(now, expected):
            return
        window.run("new Promise((go) => setTimeout(go, 50))")
    np.testing.assert_array_equal(now, expected)


def put(window: Page, name: str, value: object) -> None:
    """Drag or type."""
    window.run(
        f"(() => {{ const i = document.getElementById('{name}'); i.value = {value!r};"
        "i.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def test_what_is_shown_is_exact(made, window):
    """Seeds, sliders and a walk, and the numbers below them."""
    with (
        listening(made, Limits(), hosts=["127.0.0.1"]) as port,
        Generator(small(batch=4).program) as generator,
    ):
        window.open(f"http://127.0.0.1:{port}/")
        window.wait("document.body && document.body.dataset.ready")

        def image(z):
            return generator.generate(z)[0, ..., 0]

        z = generator.latents(1, 7)
        shown(window, image(z))
        put(window, "seed", 11)
        z = generator.latents(1, 11)
        shown(window, image(z))
        assert window.run("document.querySelectorAll('#sliders input').length") == 5
        put(window, "d1", -2.5)
        space = latents.LatentSpace.of("small", small().program.input)
        vectors = principal_directions(small_graph())[:2]
        shown(window, image(latents.moved(space, z, vectors, np.array([[0, -2.5]]))))

        # By the keyboard alone: 0 goes back, an arrow moves the slider that has the focus.
        window.run("document.activeElement.blur()")
        window.key("0")
        shown(window, image(z))
        window.run("document.getElementById('d0').focus()")
        window.key("ArrowRight")
        amounts = np.array([[0.1]])
        shown(window, image(latents.moved(space, z, vectors[:1], amounts)))
        window.run("document.activeElement.blur()")
        window.key("0")
        window.key(" ", "Space")
        window.wait("document.getElementById('walk').getAttribute('aria-pressed') === 'true'")
        keys = [generator.latents(1, seed) for seed in range(11, 15)]
        frames = generator.generate(np.concatenate(list(latents.walk(space, keys, 16))))[..., 0]
        known = {frame.tobytes() for frame in frames}
        seen = set()
        for _ in range(6):
            seen.add(canvas(window).tobytes())
            window.run("new Promise((go) => setTimeout(go, 120))")
        assert seen <= known and len(seen) > 1
        window.key(" ", "Space")
        shown(window, image(z))

        assert "images/s" in window.wait("document.getElementById('predicted').textContent")
        window.wait("document.getElementById('measured').textContent.includes('images/s')")
        assert window.wait("document.querySelectorAll('#timeline rect').length") > 10
        assert "timeline of" in window.run("document.getElementById('timed').textContent")
        assert window.run(AFTER)  # before it there is none to ask for
        assert window.run("document.getElementById('problem').hidden")
        assert window.complaints == []


def test_pictures_go_through_it(made, window):
    with listening(made, Limits()) as port:
        window.open(f"http://127.0.0.1:{port}/#x2")
        window.wait("document.body && document.body.dataset.ready")
        assert window.run("document.getElementById('latents').hidden")
        window.run(
            "(async () => { const c = new OffscreenCanvas(16, 12);"
            "const g = c.getContext('2d'); g.fillStyle = '#888'; g.fillRect(2, 2, 9, 5);"
            "await send(await c.convertToBlob()); })()"
        )
        window.wait("document.getElementById('caption').textContent === '32 x 24 pixels'")
        assert canvas(window).shape == (24, 32) and canvas(window).std() > 5
        window.run("send(new Blob(['no picture']))")
        window.wait("document.getElementById('problem').textContent.includes('no picture')")


def test_an_address_may_say_anything_behind_the_hash(made, window):
    with listening(made, Limits()) as port:
        window.open(f"http://127.0.0.1:{port}/#%")
        window.wait("document.body && document.body.dataset.ready")
        assert window.run("document.getElementById('program').value") == "small"


def test_what_is_no_picture_is_not_shown_as_one(window):
    graph = small_graph(output_range=None)
    program = compile_graph(graph, named("tiny"), batch=1).program
    with (
        hosting([Named("values", program, None)], Limits()) as raw,
        listening(raw, Limits()) as port,
    ):
        window.open(f"http://127.0.0.1:{port}/")
        window.wait("document.body && document.body.dataset.ready")
        window.wait("document.getElementById('caption').textContent.includes('is no picture')")
        assert canvas(window).shape == (1, 1)
        assert window.run("document.getElementById('walkbar').hidden")
        assert window.run("document.getElementById('problem').hidden")


def test_a_token_is_asked_for(made, window):
    with listening(made, Limits(), token="secret") as port:
        window.open(f"http://127.0.0.1:{port}/")
        window.wait(
            "document.getElementById('locked') && !document.getElementById('locked').hidden"
        )
        window.run(
            "(() => { document.getElementById('token').value = 'secret';"
            "document.getElementById('locked').requestSubmit(); })()"
        )
        window.wait("document.body.dataset.ready")
        assert window.run("document.getElementById('locked').hidden")
        window.run("sessionStorage.clear()")


@pytest.mark.parametrize("width", [390, 320, 1280])
def test_nothing_is_wider_than_the_window(made, window, width):
    with listening(made, Limits()) as port:
        window.resize(width, 800, dark=width == 390)
        window.open(f"http://127.0.0.1:{port}/")
        window.wait("document.body && document.body.dataset.ready")
        window.wait("document.querySelectorAll('#timeline rect').length > 10")
        assert window.run("document.documentElement.scrollWidth") <= width
        small_ones = window.run(
            "[...document.querySelectorAll('button')].filter((b) => !b.hidden && b.offsetParent"
            " && b.offsetHeight < 36).length"
        )
        assert small_ones == 0
        with Image.open(io.BytesIO(window.picture())) as picture:
            corner = picture.convert("L").getpixel((1, 1))
        assert (corner < 60) == (width == 390)  # dark where that is wanted
