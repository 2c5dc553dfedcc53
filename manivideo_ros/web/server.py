"""The HTTP server of the page: images as multipart JPEG, state as JSON, guarded forms."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from ipaddress import ip_address
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.web.feed import MOST_OBJECTS, STREAMS, Feed
from manivideo_ros.web.guard import HEADERS, refusal, token_fits
from manivideo_ros.web.recording import Recording

PAGE = ASSETS / 'web'
FILES = {
    '/': ('page.html', 'text/html'),
    '/page.js': ('page.js', 'text/javascript'),
    '/page.css': ('page.css', 'text/css'),
}
BOUNDARY = 'frame'
TIMEOUT_S = 10.0
KEEP_ALIVE_S = 1  # pages ask twice a second
SHUTDOWN_S = 0.3  # after which connections that do not take what they were sent are dropped
MOST_BYTES = 8192  # of a form
MOST_HEADERS = 100
MOST_CONNECTIONS = 32

# Shape by object id, and the seed: whether the scene was changed, and one line about it.
Choose = Callable[[Mapping[str, str], int], Awaitable[tuple[bool, str]]]


class PageServer:
    """Serves the page in a thread until closed. Raises ValueError where it cannot listen.

    host, port: where to listen; port 0 takes a free one. choose: called, in the server's event
    loop, with the scene of a form. recording: what the page starts and stops; None disables it.
    """

    def __init__(
        self, feed: Feed, choose: Choose, host: str, port: int, recording: Recording | None = None
    ) -> None:
        self.feed, self.choose, self.host = feed, choose, host
        self.recording = recording or Recording()
        self.token = secrets.token_urlsafe(24)
        listener = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            listener.close()
            raise ValueError(f'{host}:{port}: {error.strerror or error}') from None
        self.server_address = listener.getsockname()
        routes = [
            *(Route(path, self._file) for path in FILES),
            Route('/state', self._state),
            Route('/stream/{stream}', self._stream),
            Route('/scene', self._scene, methods=['POST']),
            Route('/record/{action}', self._record, methods=['POST']),
        ]
        handlers = {HTTPException: lambda _, error: _line(error.status_code, error.detail)}
        self._app = Starlette(routes=routes, exception_handlers=handlers)
        self._app.router.redirect_slashes = False
        self._server = Server(
            Config(
                self._guarded,
                loop='asyncio',
                interface='asgi3',
                http=_Connection,
                ws='none',
                lifespan='off',
                log_config=None,
                log_level='error',
                access_log=False,
                proxy_headers=False,
                server_header=False,
                headers=list(HEADERS.items()),
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=SHUTDOWN_S,  # type: ignore[arg-type]
            )
        )
        # uvicorn installs its signal handlers in the main thread only.
        run = partial(self._server.run, sockets=[listener])
        self._thread = threading.Thread(target=run, name='page', daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The page's address."""
        name = f'[{self.host}]' if ':' in self.host else self.host
        return f'http://{name}:{self.server_address[1]}/'

    @property
    def only_here(self) -> str:
        """The loopback address that `host` resolves to, as Debian resolves a machine's own name.

        '' where other machines reach the page, or where the address itself was given.
        """
        address = str(self.server_address[0])
        named = self.host not in ('localhost', address)
        return address if named and ip_address(address).is_loopback else ''

    def close(self) -> None:
        """End all streams and stop listening, within a second."""
        logging.getLogger('uvicorn.error').setLevel(logging.CRITICAL)  # of what is dropped now
        self.feed.close()
        self._server.should_exit = True
        self._thread.join()

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, method, status = Request(scope).headers, scope['method'], 403
        why = refusal(headers, method, self.host)
        if not why and any(len(headers.getlist(name)) > 1 for name in ('Host', 'Origin')):
            why = 'Host and Origin must be given once'
        elif not why and len(headers) > MOST_HEADERS:
            status, why = 431, f'more than {MOST_HEADERS} headers'
        elif not why and method not in ('GET', 'HEAD', 'POST'):
            status, why = 501, f'{method} is not supported'
        await (_line(status, why) if why else self._app)(scope, receive, send)

    async def _file(self, request: Request) -> Response:
        name, media_type = FILES[request.url.path]
        text = (PAGE / name).read_text().replace('{{token}}', self.token)
        return Response(text, media_type=media_type)

    async def _state(self, request: Request) -> Response:
        after = request.query_params.get('after', '')
        number = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
        return JSONResponse(self.feed.state(number) | {'recording': self.recording.state()})

    async def _stream(self, request: Request) -> Response:
        if (stream := request.path_params['stream']) not in STREAMS:
            raise HTTPException(404)
        return StreamingResponse(
            self._parts(stream) if request.method == 'GET' else iter(()),
            media_type=f'multipart/x-mixed-replace; boundary={BOUNDARY}',
        )

    async def _parts(self, stream: str) -> AsyncIterator[bytes]:
        newest: asyncio.Queue[bytes] = asyncio.Queue(1)

        def replace(jpeg: bytes) -> None:
            if newest.full():
                newest.get_nowait()
            newest.put_nowait(jpeg)

        call = asyncio.get_running_loop().call_soon_threadsafe
        with self.feed.watch(stream, lambda jpeg: call(replace, jpeg)):
            while jpeg := await newest.get():
                head = f'--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}'
                yield f'{head}\r\n\r\n'.encode() + jpeg + b'\r\n'
                yield b''  # waits until a slow client took the image: what came since is left out

    async def _form(self, request: Request) -> list[tuple[str, str]]:
        length = request.headers.get('Content-Length', '')
        if not length.isdigit() or int(length) > MOST_BYTES:
            raise HTTPException(413, f'a form has at most {MOST_BYTES} bytes')
        try:
            async with asyncio.timeout(TIMEOUT_S):
                form = (await request.body()).decode()
            fields = parse_qsl(form, keep_blank_values=True, max_num_fields=MOST_OBJECTS + 2)
        except (ValueError, TimeoutError, ClientDisconnect):
            raise HTTPException(400, 'the form cannot be read') from None
        if not token_fits(dict(fields).get('token', ''), self.token):
            raise HTTPException(403, 'the viewer was restarted: reload the page')
        return fields

    async def _scene(self, request: Request) -> Response:
        fields = await self._form(request)
        try:
            objects, seed = scene_of(fields, self.feed.shapes)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return _answer(await self.choose(objects, seed))

    async def _record(self, request: Request) -> Response:
        actions = {'start': self.recording.start, 'stop': self.recording.stop}
        await self._form(request)
        if (action := actions.get(request.path_params['action'])) is None:
            raise HTTPException(404)
        return _answer(await action())


class _Connection(H11Protocol):
    """Bounds how many connections there are, and how long each may neither send nor receive."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._expect_request()

    def _expect_request(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            TIMEOUT_S, self.timeout_keep_alive_handler
        )

    def pause_writing(self) -> None:
        super().pause_writing()
        self._blocked = self.loop.call_later(TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._blocked.cancel()


def _line(status: int, text: str) -> Response:
    return PlainTextResponse(f'{text}\n', status)


def _answer(result: tuple[bool, str]) -> Response:
    return _line(200 if result[0] else 409, result[1])


def scene_of(fields: list[tuple[str, str]], shapes: list[str]) -> tuple[dict[str, str], int]:
    """Shape by object id and the seed of a form: fields 'object:<id>' and 'seed'.

    Only generated shapes are allowed, never files. Raises ValueError, one line.
    """
    objects = {}
    for name, value in fields:
        if not name.startswith('object:'):
            continue
        found = name.removeprefix('object:')
        if not found or len(found) > 64 or found in objects:
            raise ValueError('objects: each needs an id of its own of at most 64 characters')
        if value not in shapes:
            raise ValueError(f'{found}: {value[:40]!r} is not a generated shape')
        objects[found] = value
    seed = dict(fields).get('seed', '') or '0'
    if not (seed.isascii() and seed.isdigit() and len(seed) <= 10 and int(seed) < 2**32):
        raise ValueError('seed: must be an integer from 0 to 4294967295')
    if not objects:
        raise ValueError('objects: none given')
    return objects, int(seed)
