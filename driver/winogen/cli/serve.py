"""``winogen serve``: programs for many users, over HTTP."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from winogen.cli.checks import add_checks, check_options
from winogen.cli.cluster import add_cluster, check_cluster, opened
from winogen.cli.device import add_device, choose_device
from winogen.cli.options import option_parser
from winogen.cli.parser import examples
from winogen.cli.programs import load_or_compile
from winogen.cli.waits import add_waits, wait_options
from winogen.common.errors import InputError, WinogenWarning
from winogen.compiler.options import CompileOptions
from winogen.network.graph import Graph
from winogen.program.file import Program

#: What is served where nothing is named.
_MODEL = "digits"
TOKEN_VARIABLE = "WINOGEN_TOKEN"
_NEEDED = ("fastapi", "pydantic", "uvicorn")


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    serve = commands.add_parser(
        "serve",
        parents=[option_parser(CompileOptions)],
        help="answer requests for images over HTTP, with a page to play with",
        description="Keep programs on a device and answer requests: images of seeds and latents, "
        "pictures of pictures, as PNG, WebP or arrays. Requests that arrive together share a "
        "batch. The page at / has sliders and walks; /openapi.json says what there is to ask. "
        "SIGTERM and Ctrl-C end it after what has begun is answered. Needs winogen[serve].",
        epilog=examples(
            ("winogen serve", "digits, on http://127.0.0.1:8000/"),
            ("winogen serve digits fsrcnn-x2 --port 9000", "two programs"),
            ("winogen serve net.wg --device board --host 0.0.0.0", "a board, for the network"),
            ("winogen serve net.wg --cluster tcp://lab:8786", "many boards, one service"),
            ("winogen serve net.wg --device board --systemd", "print a systemd unit that does it"),
        ),
    )
    serve.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="program files (.wg), or what 'winogen run' takes besides, compiled first (default: "
        f"{_MODEL})",
    )
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this machine alone; 0.0.0.0: all)",
    )
    serve.add_argument("--port", type=int, default=8000, help="port (default: 8000; 0: any)")
    serve.add_argument(
        "--token",
        help="what every request must say, but for the page and /health: 'Authorization: Bearer "
        f"TOKEN' (default: what {TOKEN_VARIABLE} says, if it is set)",
    )
    limits = serve.add_argument_group("limits")
    limits.add_argument(
        "--max-images", type=int, default=256, metavar="N", help="of one request (default: 256)"
    )
    limits.add_argument(
        "--max-megapixels", type=float, default=4, metavar="MP",
        help="of a picture that is sent, or of all images of a request (default: 4)",
    )  # fmt: skip
    limits.add_argument(
        "--max-megabytes", type=float, default=16, metavar="MB",
        help="of a request's body (default: 16)",
    )  # fmt: skip
    limits.add_argument(
        "--queue", type=int, default=1024, metavar="N",
        help="images that may wait; more are refused with 429 and Retry-After (default: 1024)",
    )  # fmt: skip
    limits.add_argument(
        "--deadline", type=float, default=30, metavar="SECONDS",
        help="in which a request is answered, or given up (default: 30)",
    )  # fmt: skip
    limits.add_argument(
        "--gather", type=float, default=2, metavar="MS",
        help="for which an idle device waits for more requests to share a batch (default: 2)",
    )  # fmt: skip
    add_device(serve)
    add_cluster(serve)
    add_waits(serve)
    add_checks(serve)
    serve.add_argument(
        "--systemd",
        action="store_true",
        help="print a systemd unit that runs this command, and end",
    )
    serve.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    for package in _NEEDED:
        if not find_spec(package):
            raise InputError(
                f"serving needs the package {package}; install it with: pip install "
                "'winogen[serve]'"
            )
    from winogen.service.guard import own_hosts
    from winogen.service.hosted import names_of
    from winogen.service.hosting import Named, hosting
    from winogen.service.limits import Limits
    from winogen.service.server import bind, serve

    models = options.models or [_MODEL]
    limits = Limits(
        body_bytes=round(options.max_megabytes * 1e6) if 0 < options.max_megabytes < 1e6 else 0,
        images=options.max_images,
        pixels=round(options.max_megapixels * 1e6) if 0 < options.max_megapixels < 1e6 else 0,
        waiting=options.queue,
        deadline_s=options.deadline,
        gather_s=options.gather / 1e3,
    )
    if not 0 <= options.port < 65536:
        raise InputError(f"a port is 0 to 65535, not {options.port}")
    if options.systemd:
        return _print_unit(options, models, limits.deadline_s)
    token = options.token or os.environ.get(TOKEN_VARIABLE) or None
    if token and (not token.isascii() or not token.isprintable() or " " in token):
        raise InputError("a token has letters, digits and signs of ASCII alone, and no spaces")
    with bind(options.host, options.port) as listening:  # before the work of compiling
        clustered = check_cluster(options)
        if not clustered:
            choose_device(options, compiled=all(model.endswith(".wg") for model in models))
        programs = []
        for name, model in zip(names_of(models), models):
            program, graph = _opened(options, model)
            programs.append(Named(name, program, graph))
        with hosting(
            programs,
            limits,
            apart=True,
            device=options.device,
            overlay=options.overlay,
            opened=partial(opened, options) if clustered else None,
            **wait_options(options),
            **check_options(options),
        ) as service:
            # What a request brings along would fill the log: it is told to nobody.
            warnings.simplefilter("ignore", WinogenWarning)
            hosts = own_hosts(options.host)
            if hosts is None and token is None:
                print("anyone who reaches this machine may ask: --token keeps others out")
            print(_ready(listening.getsockname(), programs, options.device), flush=True)
            app = service.app(token=token, hosts=hosts)
            serve(app, listening, limits, limits.deadline_s)
            done = service.dispatcher.watched
    print(f"ended: {done.images:,} images in {done.rounds:,} rounds of the device")
    return 0


def _opened(options: argparse.Namespace, model: str) -> tuple[Program, Graph | None]:
    """A program, and the network that it was compiled from."""
    found: list[Graph] = []

    def see(network: Graph | Program) -> None:
        if isinstance(network, Graph):
            found.append(network)

    own = argparse.Namespace(**{**vars(options), "model": model})
    return load_or_compile(own, check=see), found[0] if found else None


def _ready(address: tuple[Any, ...], programs: list[Any], device: str) -> str:
    host, port = address[:2]
    shown = f"[{host}]" if ":" in host else host
    names = ", ".join(named.name for named in programs)
    return f"serving {names} from the {device} on http://{shown}:{port}/ (Ctrl-C ends)"


def _print_unit(options: argparse.Namespace, models: list[str], drain_s: float) -> int:
    from winogen.service.unit import ENVIRONMENT, systemd_unit

    if options.token:
        raise InputError(
            f"everybody may read a unit: leave --token out, and write {TOKEN_VARIABLE}=... to "
            f"{ENVIRONMENT}"
        )
    words = [w for w in options.parser.words if not ("--systemd".startswith(w) and len(w) > 3)]
    words = [str(Path(w).resolve()) if w in models and Path(w).exists() else w for w in words]
    command = [sys.executable, "-m", "winogen", "serve", *words]
    board = options.device == "board"
    sys.stdout.write(systemd_unit(command, Path.cwd(), drain_s, board=board))
    return 0
