"""A folder as a bucket: a small S3 server that can only be read from.

It answers what a mount asks that reads images: ListObjectsV2, GET with `Range` and
`If-Match`, HEAD. Signatures are not looked at. The folder must not change while it
is served.
"""

import bisect
import hashlib
import threading
from datetime import datetime, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "images"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class FolderServer(ThreadingHTTPServer):
    """Serves the files below a folder, on a port of its own choice, until `close`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and _is_a_key(path.relative_to(folder).as_posix())
        }
        self.keys = sorted(self.files, key=str.encode)
        self._sorted = [key.encode() for key in self.keys]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def after(self, key: bytes, *, including: bool) -> int:
        """The place of the first key behind this one."""
        find = bisect.bisect_left if including else bisect.bisect_right
        return find(self._sorted, key)


def etag(path: Path) -> str:
    status = path.stat()
    return hashlib.md5(f"{path} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()


def _is_a_key(name: str) -> bool:
    """Names of files may be any bytes, those of objects are Unicode."""
    try:
        return len(name.encode()) <= 1024
    except UnicodeEncodeError:
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # An answer in one piece: two small ones would wait for each other's acknowledgement.
    wbufsize = 1 << 16
    server: FolderServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            self.refuse(404, "NoSuchBucket")
        elif key:
            self.get_object(key)
        else:
            self.list_objects(parse_qs(url.query, keep_blank_values=True))

    def do_PUT(self) -> None:
        self.refuse(405, "MethodNotAllowed")

    do_POST = do_DELETE = do_PUT

    def get_object(self, key: str) -> None:
        path = self.server.files.get(key)
        if path is None:
            self.refuse(404, "NoSuchKey")
            return
        tag = f'"{etag(path)}"'
        wanted = self.headers.get("If-Match")
        if wanted is not None and wanted not in (tag, "*"):
            self.refuse(412, "PreconditionFailed")
            return
        size = path.stat().st_size
        first, last, status = 0, size - 1, 200
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            low, _, high = asked.removeprefix("bytes=").partition("-")
            if low:
                first, last = int(low), min(int(high), size - 1) if high else size - 1
            else:
                first = max(size - int(high), 0)
            status = 206
            if first >= size:
                self.refuse(416, "InvalidRange")
                return
        self.send_response(status)
        self.send_header("ETag", tag)
        self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file:
                file.seek(first)
                left = last - first + 1
                while left > 0 and (data := file.read(min(left, 1 << 20))):
                    self.wfile.write(data)
                    left -= len(data)

    def list_objects(self, query: dict[str, list[str]]) -> None:
        def value(name: str, default: str = "") -> str:
            return query.get(name, [default])[0]

        if value("list-type") != "2":
            self.refuse(501, "NotImplemented")
            return
        prefix, delimiter = value("prefix"), value("delimiter")
        limit = min(int(value("max-keys", "1000")), 1000)
        name = quote if value("encoding-type") == "url" else escape
        server = self.server
        start = value("continuation-token") or value("start-after")
        at = max(
            server.after(prefix.encode(), including=True),
            server.after(start.encode(), including=False),
        )
        items, folders, last = [], [], ""
        while at < len(server.keys) and len(items) + len(folders) < limit:
            key = server.keys[at]
            if not key.startswith(prefix):
                break
            folder = self.folder_of(key, prefix, delimiter)
            if folder is None:
                items.append(key)
                last, at = key, at + 1
            else:
                # The token of a folder is behind everything in it.
                last = folder + "\U0010ffff"
                at = server.after(last.encode(), including=True)
                folders.append(folder)
        more = at < len(server.keys) and server.keys[at].startswith(prefix)
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<ListBucketResult xmlns="{NAMESPACE}"><Name>{BUCKET}</Name>',
            f"<Prefix>{name(prefix)}</Prefix><Delimiter>{name(delimiter)}</Delimiter>",
            f"<MaxKeys>{limit}</MaxKeys><KeyCount>{len(items) + len(folders)}</KeyCount>",
            f"<IsTruncated>{str(more).lower()}</IsTruncated>",
        ]
        if value("encoding-type") == "url":
            lines.append("<EncodingType>url</EncodingType>")
        if more:
            lines.append(f"<NextContinuationToken>{escape(last)}</NextContinuationToken>")
        for key in items:
            status = server.files[key].stat()
            time = _iso(status.st_mtime)
            lines.append(
                f"<Contents><Key>{name(key)}</Key><LastModified>{time}</LastModified>"
                f"<ETag>&quot;{etag(server.files[key])}&quot;</ETag>"
                f"<Size>{status.st_size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
        lines += [f"<CommonPrefixes><Prefix>{name(f)}</Prefix></CommonPrefixes>" for f in folders]
        lines.append("</ListBucketResult>")
        self.answer(200, "\n".join(lines).encode())

    @staticmethod
    def folder_of(key: str, prefix: str, delimiter: str) -> str | None:
        if not delimiter:
            return None
        at = key.find(delimiter, len(prefix))
        return None if at < 0 else key[: at + len(delimiter)]

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
