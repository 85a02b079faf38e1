"""The HTTP API: what is answered to which address."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from winogen.common.errors import InputError, WinogenError
from winogen.common.text import did_you_mean
from winogen.media.writers import MAX_GIF_RATE
from winogen.runtime.fit import Fit, chosen_fit
from winogen.runtime.pictures import Picture, transform
from winogen.runtime.windows import image_spans, kept_size, padded_size
from winogen.service import encoding
from winogen.service.dispatcher import Dispatcher, Draining, QueueFull, Ticket, TooLate
from winogen.service.guard import App, Guard, Refused
from winogen.service.hosted import Hosted, Key
from winogen.service.limits import Limits
from winogen.service.metrics import MEDIA_TYPE, Metrics
from winogen.service.requests import Generate, inputs_of, read_generate, read_query
from winogen.service.schema import GENERATE_BODY, GENERATE_QUERY, PICTURE_BODY, PICTURE_QUERY
from winogen.service.timeline import timeline
from winogen.version import __version__

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
#: Pixels of what is encoded without asking another thread.
_FEW_PIXELS = 1 << 15
#: Pictures that are decoded at once.
_DECODED = 2


class Service:
    """Programs, the dispatcher that runs them, and the application that answers for them."""

    def __init__(self, programs: Sequence[Hosted], limits: Limits, dispatcher: Dispatcher):
        self.programs = {hosted.name: hosted for hosted in programs}
        self.limits = limits
        self.dispatcher = dispatcher
        self.metrics = Metrics()
        self.renew()

    def renew(self) -> None:
        """Let go of the event loop that has ended."""
        self._decoding = asyncio.Semaphore(_DECODED)

    def app(self, *, token: str | None = None, hosts: Sequence[str] | None = None) -> App:
        """The ASGI application; ``token`` and ``hosts`` as :class:`Guard` has them."""
        api = FastAPI(
            title="winogen",
            version=__version__,
            description="Images of generator networks, made by the accelerator. Every image is, "
            "bit for bit, what the program makes of its input alone.",
            docs_url=None,  # they would ask other hosts
            redoc_url=None,
        )
        self._add_routes(api)
        _add_handlers(api)
        return Guard(api, self.limits, self.metrics, token=token, hosts=hosts)

    def _add_routes(self, api: FastAPI) -> None:
        for path, (name, kind) in _FILES.items():
            data = (_PAGE / name).read_bytes()
            api.add_api_route(path, _static(data, kind), include_in_schema=False)
        api.add_api_route("/favicon.ico", _static(b"", "image/x-icon"), include_in_schema=False)
        api.add_api_route("/health", self.health, summary="Whether the service takes work")
        api.add_api_route("/metrics", self.numbers, summary="Counts, in Prometheus' text form",
                          response_class=Response)  # fmt: skip
        api.add_api_route("/programs", self.listed, summary="What there is to run")
        api.add_api_route("/programs/{program}", self.described, summary="One of them")
        images: dict[int | str, dict[str, Any]] = {
            200: {"content": {kind: {} for kind in encoding.MEDIA_TYPES.values()}}
        }
        api.add_api_route(
            "/generate/{program}", self.generate, methods=["POST"], response_class=Response,
            summary="Images of seeds or latents", responses=images, openapi_extra=GENERATE_BODY,
        )  # fmt: skip
        api.add_api_route(
            "/generate/{program}", self.generate_simply, response_class=Response,
            summary="Images of seeds", responses=images, openapi_extra=GENERATE_QUERY,
        )  # fmt: skip
        api.add_api_route(
            "/pictures/{program}", self.picture, methods=["POST"], response_class=Response,
            summary="The network's picture of a picture", responses=images,
            openapi_extra={**PICTURE_BODY, **PICTURE_QUERY},
        )  # fmt: skip
        api.add_api_route(
            "/timeline/{program}", self.timeline, response_class=Response,
            summary="What each engine did in the last run (SVG)",
            responses={200: {"content": {"image/svg+xml": {}}}},
        )  # fmt: skip

    # --- answers ---------------------------------------------------------------------------------

    async def health(self) -> Response:
        """200 while work is taken, 503 while the service ends."""
        draining = self.dispatcher.draining
        return JSONResponse(
            {"status": "draining" if draining else "ok", "version": __version__,
             "waiting": self.dispatcher.waiting()},
            503 if draining else 200,
        )  # fmt: skip

    async def numbers(self) -> Response:
        """The counts."""
        return Response(
            self.metrics.text(self.dispatcher, list(self.programs.values())), media_type=MEDIA_TYPE
        )

    async def listed(self) -> Response:
        """All programs, and the limits of a request."""
        return JSONResponse(
            {
                "programs": [hosted.described() for hosted in self.programs.values()],
                "limits": {
                    "images": self.limits.images,
                    "pixels": self.limits.pixels,
                    "body_bytes": self.limits.body_bytes,
                    "deadline_ms": 1e3 * self.limits.deadline_s,
                },
            }
        )

    async def described(self, program: str) -> Response:
        """One program."""
        return JSONResponse(self._hosted(program).described())

    async def generate(self, program: str, request: Request) -> Response:
        """Images of a request's body: JSON, or latents in numpy's format."""
        begin = time.monotonic()
        hosted = self._hosted(program)
        body = await request.body()
        given = None
        if request.headers.get("content-type", "").startswith(encoding.MEDIA_TYPES["npy"]):
            given = encoding.decode_array(body, self.limits.body_bytes)
            if not given.ndim:
                raise InputError("latents must be an array (N, C)")
            asked = read_query([("seed", "0"), *request.query_params.multi_items()])
            asked = asked.model_copy(update={"seeds": None})
        else:
            asked = read_generate(body)
        return await self._images(request, hosted, asked, given, begin)

    async def generate_simply(self, program: str, request: Request) -> Response:
        """Images of an address's parameters."""
        begin = time.monotonic()
        hosted = self._hosted(program)
        asked = read_query(request.query_params.multi_items())
        return await self._images(request, hosted, asked, None, begin)

    async def picture(self, program: str, request: Request) -> Response:
        """The network's picture of the body, a picture as PNG, JPEG, WebP, GIF, TIFF or BMP."""
        begin = time.monotonic()
        hosted = self._hosted(program)
        asked = read_query([p for p in request.query_params.multi_items() if p[0] != "seed"])
        if not hosted.takes_pictures:
            raise InputError(f"program '{program}' takes no pictures: see /generate/{program}")
        if asked.format == "gif" or asked.scale != 1:
            raise InputError("a picture comes back as png, webp or npy, at the scale 1")
        body = await request.body()
        async with self._decoding:
            picture = await asyncio.to_thread(
                encoding.decode_picture, body, self.limits.pixels
            )  # fmt: skip
        fit = chosen_fit(picture.size, hosted.program)
        ticket = self._queue(
            hosted, asked, begin, weight=_windows(hosted, picture, fit, self.limits.pixels),
            alone=partial(_transformed, hosted, picture, fit),
        )  # fmt: skip
        made = await _result(ticket, request)
        data = await asyncio.to_thread(encoding.encode_picture, made, asked.format)
        return self._answer(hosted, ticket, data, asked.format)

    async def timeline(self, program: str, request: Request) -> Response:
        """The timeline of the last run's first batch, of which it may need another run."""
        hosted = self._hosted(program)
        ticket = self._queue(
            hosted, Generate(), time.monotonic(), weight=1, alone=lambda _: hosted.profile()
        )
        profile = await _result(ticket, request)
        svg = await asyncio.to_thread(timeline, profile)
        return Response(svg, media_type="image/svg+xml")

    # --- their parts -----------------------------------------------------------------------------

    def _hosted(self, name: str) -> Hosted:
        if name not in self.programs:
            hint = did_you_mean(name[:80], self.programs)
            shown = name.encode("ascii", "backslashreplace").decode()[:80]
            raise Refused(404, f"there is no program '{shown}'; {hint}see /programs")
        return self.programs[name]

    def _queue(
        self, hosted: Hosted, asked: Generate, begin: float, *, weight: int, **what: Any
    ) -> Ticket:
        """Put a request into the queue, with its deadline."""
        seconds = self.limits.deadline_s
        if asked.deadline_ms is not None:
            seconds = min(seconds, asked.deadline_ms / 1e3)
        key = Key(hosted.exit(asked.exit), asked.as_float)
        return self.dispatcher.submit(
            Ticket(hosted, key, weight, begin + seconds, arrived=begin, **what)
        )

    async def _images(
        self, request: Request, hosted: Hosted, asked: Generate, given: Any, begin: float
    ) -> Response:
        if asked.truncate is None and asked.walk is None and asked.moves is None:
            rows = inputs_of(asked, hosted, given)
        else:  # quantiles of every latent take a while, and others are not to wait
            rows = await asyncio.to_thread(inputs_of, asked, hosted, given)
        form = asked.format
        if asked.as_float and form != "npy":
            raise InputError("real values are no picture: ask for the format npy")
        if form != "npy" and not hosted.makes_pictures:
            raise InputError("the output of this program is no picture: ask for the format npy")
        if form == "gif" and asked.walk is None:
            raise InputError("a gif moves: ask for a walk, or for the format png")
        if form == "gif" and asked.walk and asked.walk.fps > MAX_GIF_RATE:
            raise InputError(
                f"a gif cannot show {asked.walk.fps} frames a second: at most {MAX_GIF_RATE}; ask "
                "for the format webp"
            )
        ticket = self._queue(hosted, asked, begin, weight=len(rows), rows=rows)
        out = await _result(ticket, request)
        fps = asked.walk.fps if asked.walk and form in ("gif", "webp") else None
        work: Callable[[], bytes] = partial(
            encoding.encode, out, form, asked.scale, asked.columns, fps
        )
        few = form == "npy" or out.size * asked.scale**2 <= _FEW_PIXELS
        data = work() if few else await asyncio.to_thread(work)
        name = hosted.name
        self.metrics.images[name] = self.metrics.images.get(name, 0) + len(rows)
        return self._answer(hosted, ticket, data, form)

    def _answer(self, hosted: Hosted, ticket: Ticket, data: bytes, form: str) -> Response:
        waited = 1e3 * ((ticket.began or ticket.arrived) - ticket.arrived)
        headers = {
            "server-timing": f"queue;dur={waited:.2f}, device;dur={1e3 * ticket.device_s:.2f}",
            "x-winogen-batch": ",".join(map(str, ticket.batches)) or "1",
            "content-disposition": f'inline; filename="{hosted.name}.{form}"',
        }
        return Response(data, media_type=encoding.MEDIA_TYPES[form], headers=headers)


async def _result(ticket: Ticket, request: Request) -> Any:
    """What comes out of a request, unless it is too late or nobody waits for it any more."""
    future = asyncio.wrap_future(ticket.future)
    gone = asyncio.ensure_future(_gone(request))
    try:
        done, _ = await asyncio.wait(
            {future, gone},
            timeout=max(ticket.deadline - time.monotonic(), 0),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if future in done:
            return future.result()
        if gone in done:
            raise Refused(499, "nobody waits for the answer any more")
        raise TooLate(
            f"the request was not done within {ticket.deadline - ticket.arrived:.3g} s: ask for "
            "less, or for a later deadline"
        )
    finally:
        gone.cancel()
        ticket.cancel()
        future.add_done_callback(lambda f: f.cancelled() or f.exception())  # it is looked at


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _transformed(hosted: Hosted, picture: Picture, fit: Fit, ticket: Ticket) -> Any:
    """The network's picture, window by window until the deadline."""
    return transform(
        hosted.generator,
        picture,
        resize=fit is Fit.RESIZE,
        progress=lambda done, total: ticket.check(),
    )


def _windows(hosted: Hosted, picture: Picture, fit: Fit, most_pixels: int) -> int:
    """How many windows a picture is; InputError for one whose result would be too large."""
    program = hosted.program
    size = program.input_shape[1:] if fit is Fit.RESIZE else picture.size
    made = kept_size(size, program)
    if made[0] * made[1] > 4 * most_pixels:
        raise InputError(
            f"the network's picture would have {made[1]} x {made[0]} pixels, over "
            f"{4 * most_pixels:,}; send a smaller one"
        )
    rows, columns = image_spans(padded_size(size, program), program)
    return len(rows) * len(columns)


def _static(data: bytes, kind: str) -> Callable[[], Any]:
    async def give() -> Response:
        return Response(data, media_type=kind)

    return give


def _add_handlers(api: FastAPI) -> None:
    """Every refusal is a sentence, as JSON."""

    def sentence(
        status: int, text: str, headers: dict[str, str] | None = None
    ) -> JSONResponse:  # fmt: skip
        plain = text.encode("ascii", "backslashreplace").decode()
        return JSONResponse({"error": plain}, status, headers)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        headers = {k.decode(): v.decode() for k, v in error.headers}
        return sentence(error.status, str(error), headers)

    async def ours(request: Request, error: Exception) -> Response:
        if isinstance(error, QueueFull):
            return sentence(429, str(error), {"retry-after": str(error.retry_s)})
        if isinstance(error, TooLate):
            return sentence(408, str(error), {"connection": "close"})
        if isinstance(error, InputError):
            return sentence(422, str(error))
        again = {"retry-after": "5"}
        if isinstance(error, Draining):
            return sentence(503, str(error), {**again, "connection": "close"})
        return sentence(503, f"the device has failed: {error}", again)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = {404: "there is nothing at this address: see /openapi.json",
                405: "this address takes another method: see /openapi.json"}  # fmt: skip
        return sentence(
            error.status_code, text.get(error.status_code, str(error.detail)),
            dict(error.headers) if error.headers else None,
        )  # fmt: skip

    api.add_exception_handler(Refused, refused)
    api.add_exception_handler(WinogenError, ours)
    api.add_exception_handler(HTTPException, unknown)
