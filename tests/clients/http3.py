"""HTTP/1.1, HTTP/2 and HTTP/3 of a running server, asked by clients that share no code with it.

    python http3.py ADDRESS:PORT TITLE

ADDRESS:PORT is the `media_https` of the ready line; the server runs with --open. The title's master
playlist, its MPD and the first segment of its first rendition are asked by libcurl (its ngtcp2 and
nghttp3 for HTTP/3, nghttp2 for HTTP/2) and by aioquic; all must give one status and one body, whole
and by range. HEAD is left to libcurl: aioquic takes a Content-Length without content for an error,
whatever the method. The last line is `N passed, M failed`.
"""

import asyncio
import hashlib
import ssl
import sys
from urllib.parse import urljoin

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamReset
from curl_cffi import CurlHttpVersion, requests

RANGE = "bytes=1-100"
AT_ONCE = 20
TIMEOUT_SECONDS = 20


def short(body):
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()[:16]}"


def ask_curl(base, path, version, headers=None, method="GET"):
    answer = requests.request(
        method,
        f"https://{base}{path}",
        http_version=version,
        verify=False,
        headers=headers or {},
        timeout=TIMEOUT_SECONDS,
        default_headers=False,
    )
    return answer


class Client(QuicConnectionProtocol):
    """One connection of aioquic, many requests at once."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.http = H3Connection(self._quic)
        self.answers = {}

    def quic_event_received(self, event):
        if isinstance(event, StreamReset) and event.stream_id in self.answers:
            self.answers[event.stream_id][2].set_exception(RuntimeError(f"reset {event.error_code:#x}"))
        for http_event in self.http.handle_event(event):
            if isinstance(http_event, (HeadersReceived, DataReceived)):
                headers, body, done = self.answers[http_event.stream_id]
                if isinstance(http_event, HeadersReceived):
                    headers.update(http_event.headers)
                else:
                    body.extend(http_event.data)
                if http_event.stream_ended and not done.done():
                    done.set_result(None)

    async def ask(self, authority, path, method=b"GET", extra=()):
        stream = self._quic.get_next_available_stream_id()
        done = asyncio.get_running_loop().create_future()
        self.answers[stream] = ({}, bytearray(), done)
        head = [(b":method", method), (b":scheme", b"https"), (b":authority", authority.encode()), (b":path", path.encode())]
        self.http.send_headers(stream, head + list(extra), end_stream=True)
        self.transmit()
        await asyncio.wait_for(done, TIMEOUT_SECONDS)
        headers, body, _ = self.answers.pop(stream)
        return int(headers[b":status"]), headers, bytes(body)


async def ask_aioquic(base, paths):
    host, port = base.rsplit(":", 1)
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=True, verify_mode=ssl.CERT_NONE, server_name="localhost")
    async with connect(host, int(port), configuration=configuration, create_protocol=Client) as client:
        await client.ping()
        whole = {path: await client.ask(base, path) for path in paths}
        part = await client.ask(base, paths[0], extra=[(b"range", RANGE.encode()), (b"priority", b"u=1, i")])
        many = await asyncio.gather(*(client.ask(base, paths[n % len(paths)]) for n in range(AT_ONCE)))
        return whole, part, many


class Count:
    passed = 0
    failed = 0

    def check(self, what, is_right, found=""):
        if is_right:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}: {found}")


def paths_of(base, title):
    """The first segment, the master playlist and the MPD."""
    folder = f"/vod/{title}/cmaf/"
    path = folder + "master.m3u8"
    for _ in range(2):
        playlist = ask_curl(base, path, CurlHttpVersion.V2TLS).text
        path = urljoin(path, next(line for line in playlist.splitlines() if line and not line.startswith("#")))
    return [path, folder + "master.m3u8", folder + "manifest.mpd"]


def main(base, title):
    count = Count()
    paths = paths_of(base, title)
    versions = {"http/1.1": (CurlHttpVersion.V1_1, 2), "h2": (CurlHttpVersion.V2TLS, 3), "h3": (CurlHttpVersion.V3ONLY, 30)}
    bodies = {}
    for name, (version, reported) in versions.items():
        for path in paths:
            answer = ask_curl(base, path, version)
            bodies.setdefault(path, answer.content)
            count.check(f"curl {name} {path}: version", answer.http_version == reported, answer.http_version)
            count.check(f"curl {name} {path}: status", answer.status_code == 200, answer.status_code)
            count.check(f"curl {name} {path}: body", answer.content == bodies[path], short(answer.content))
            has_alt_svc = "alt-svc" in answer.headers
            count.check(f"curl {name} {path}: Alt-Svc", has_alt_svc == (name != "h3"), dict(answer.headers))
        part = ask_curl(base, paths[0], version, {"Range": RANGE})
        is_part = part.status_code == 206 and part.content == bodies[paths[0]][1:101]
        count.check(f"curl {name}: range", is_part, (part.status_code, short(part.content)))
        head = ask_curl(base, paths[0], version, method="HEAD")
        count.check(f"curl {name}: HEAD", head.status_code == 200 and head.content == b"", head.status_code)
    with requests.Session() as session:
        for _ in range(AT_ONCE):
            answer = session.get(f"https://{base}{paths[0]}", http_version=CurlHttpVersion.V3ONLY, verify=False)
            count.check("curl h3, one connection", answer.content == bodies[paths[0]], answer.status_code)
    whole, part, many = asyncio.run(ask_aioquic(base, paths))
    for path, (status, _, body) in whole.items():
        count.check(f"aioquic {path}", status == 200 and body == bodies[path], (status, short(body)))
    count.check("aioquic range", part[0] == 206 and part[2] == bodies[paths[0]][1:101], part[0])
    for number, (status, _, body) in enumerate(many):
        is_right = status == 200 and body == bodies[paths[number % len(paths)]]
        count.check("aioquic, at once", is_right, (status, short(body)))
    print(f"{count.passed} passed, {count.failed} failed")
    return count.failed == 0


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1], sys.argv[2]) else 1)
