"""`Guard`: refuses requests of other sites, and requests that are too large."""

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lagllama_jax.errors import DataError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Headers of every answer. A picture has a policy of its own, as styles are within it."""
MARKS = 10**6
"""Bytes of a request beside its files: the fields, and the marks around them."""
DRAINED = 10
"""So many times the largest size are read of a request that is too large, to answer it politely."""


class TooLargeError(DataError):
    """Raised if a file or a request is larger than the page takes."""

    def __init__(self, most: int):
        super().__init__(
            f"The page takes at most {most / 10**6:g} megabytes. Give fewer rows, use the command "
            "line, or start the page with a higher limit (--max-megabytes)."
        )


class Guard:
    """An ASGI application around the page, which answers requests of the page itself only.

    A site of another name cannot read the page through a name that leads to this machine (DNS
    rebinding), as its name is in the header `Host`. It cannot send forms, as its name is in the
    header `Origin`.

    Attributes:
      app: The page.
      host: Address that the server listens on.
      most_bytes: Largest size of a file in bytes. A request may have two files.
    """

    def __init__(self, app: "ASGIApp", host: str, most_bytes: int):
        self.app = app
        self.host = host
        self.most_bytes = most_bytes

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answers a request, or passes it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }

        async def answer(message: "Message") -> None:
            if message["type"] == "http.response.start":
                given = {key.lower() for key, _ in message["headers"]}
                more = [(key.lower().encode(), value.encode()) for key, value in HEADERS.items()]
                message["headers"] = [
                    *message["headers"],
                    *((key, value) for key, value in more if key not in given),
                ]
            await send(message)

        refusal = refused(scope["method"], headers, self.host)
        if refusal:
            await _refuse(answer, refusal)
            return
        await self.app(scope, _limited(receive, self.most_bytes), answer)


def refused(method: str, headers: dict[str, str], host: str) -> str:
    """Why a request is refused. Empty: it is not.

    Args:
      method: Method of the request.
      headers: Its headers, with names in lower case.
      host: Address that the server listens on.
    """
    asked = headers.get("host", "")
    if not _is_own(asked, host):
        return f"The page is not called {asked!r}. Open http://127.0.0.1 with its port."
    if method in ("GET", "HEAD"):
        return ""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != asked:
        return "Forms of other sites are not taken."
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "Forms of other sites are not taken."
    return ""


def _is_own(asked: str, host: str) -> bool:
    """Whether a header `Host` names this machine: an address, or the name it listens on."""
    try:
        name = urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return False
    if name in LOOPBACK or name == host.lower():
        return True
    if host in LOOPBACK:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _limited(receive: "Receive", most: int) -> "Receive":
    """A function that receives a body, and raises `TooLargeError` beyond two files of `most`."""
    received = 0

    async def limited() -> "Message":
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received <= 2 * most + MARKS:
            return message
        while message.get("more_body") and received <= DRAINED * most + MARKS:
            message = await receive()
            received += len(message.get("body", b""))
        raise TooLargeError(most)

    return limited


async def _refuse(send: "Send", reason: str) -> None:
    kind = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": 403, "headers": [kind]})
    await send({"type": "http.response.body", "body": reason.encode()})
