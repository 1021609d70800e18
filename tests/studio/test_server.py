"""The server: this machine alone, one temporary folder, and limits that hold without the page."""

import http.client
import json
import os
import shutil
import socket
import sys
import uuid
from urllib.parse import urlsplit

import pytest
import small_run
from PIL import Image
from studio_server import studio_server

from splice.errors import RunError
from splice.studio import serving

pytestmark = pytest.mark.slow

LIMIT = 200_000


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    small = small_run.make(tmp_path_factory.mktemp("small"))
    with studio_server(small, LIMIT) as found:
        yield found


def _ask(studio, method: str, path: str, body: bytes = b"", **headers: str):
    connection = http.client.HTTPConnection(urlsplit(studio.address).netloc, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _upload(
    studio, content: bytes, name: str = "a.png", path: str = "/gradio_api/upload", **headers: str
):
    edge = uuid.uuid4().hex
    head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    kind = f"multipart/form-data; boundary={edge}"
    return _ask(studio, "POST", path, body, **{"Content-Type": kind, **headers})


def _files(studio) -> set[str]:
    return {str(path) for path in studio.folder.rglob("*") if path.is_file()}


def test_only_this_machine_is_listened_to(studio):
    parts = urlsplit(studio.address)
    assert parts.hostname == "127.0.0.1"
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in addresses - {"127.0.0.1", "::1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, parts.port), timeout=5).close()


def test_nothing_is_told_to_anybody_and_no_history_kept(studio):
    status, page = _ask(studio, "GET", "/config")
    config = json.loads(page)
    assert status == 200
    assert config["analytics_enabled"] is False
    assert config["run_history"] is False
    assert all(each["api_visibility"] == "private" for each in config["dependencies"])


def test_uploads_end_at_the_limit_and_lie_in_the_folder(studio):
    before = _files(studio)
    status, answer = _upload(studio, bytes(LIMIT + 1))
    assert status == 413, answer
    assert _files(studio) == before
    status, answer = _upload(studio, bytes(LIMIT - 1))
    assert status == 200
    (path,) = json.loads(answer)
    assert path.startswith(f"{studio.folder}{os.sep}")
    assert _files(studio) - before == {path}


def test_routes_without_a_use_are_shut(studio):
    before = _files(studio)
    assert _upload(studio, b"x", path="/gradio_api/process_recording")[0] == 404
    assert _files(studio) == before


@pytest.mark.parametrize("path", ["/etc/hostname", "{here}"])
def test_no_other_file_can_be_fetched(studio, path):
    status, _ = _ask(studio, "GET", f"/gradio_api/file={path.format(here=__file__)}")
    assert status in (403, 404)


def test_pages_of_other_servers_are_refused(studio):
    netloc = urlsplit(studio.address).netloc
    port = netloc.rpartition(":")[2]
    before = _files(studio)
    assert _upload(studio, b"x", Origin="https://elsewhere.example")[0] == 403
    assert _upload(studio, b"x", Origin="null")[0] == 403
    # Somebody may point a name of theirs at this machine.
    strange = f"elsewhere.example:{port}"
    assert _upload(studio, b"x", Host=strange, Origin=f"http://{strange}")[0] == 403
    assert _ask(studio, "GET", "/", Host=strange)[0] == 403
    assert _files(studio) == before
    assert _upload(studio, b"own", Origin=f"http://{netloc}")[0] == 200
    own = f"localhost:{port}"
    assert _upload(studio, b"tunnel", Host=own, Origin=f"http://{own}")[0] == 200


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_a_drop_that_names_a_file_of_the_server_is_refused(studio, tmp_path, meta):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (40, 30), (1, 2, 3)).save(secret)
    inside = studio.folder / "somebodys" / "secret.png"
    inside.parent.mkdir(exist_ok=True)
    shutil.copyfile(secret, inside)
    config = json.loads(_ask(studio, "GET", "/config")[1])
    drops = [
        i for i, each in enumerate(config["dependencies"]) if each["targets"][0][1] == "upload"
    ]
    assert len(drops) == 2
    for file in (secret, inside):
        session = uuid.uuid4().hex
        given = {"path": str(file), "orig_name": "secret.png", **meta}
        asked = {"data": [given], "fn_index": drops[0], "session_hash": session}
        kind = {"Content-Type": "application/json"}
        path = "/gradio_api/queue/join"
        assert _ask(studio, "POST", path, json.dumps(asked).encode(), **kind)[0] == 200
        path = f"/gradio_api/queue/data?session_hash={session}"
        answer = _ask(studio, "GET", path)[1].decode()
        assert "process_completed" in answer
        assert "preview" not in answer
        assert file.is_file()


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(RunError, match=r"pip install 'splice-vit\[web\]'"), serving({}):
        raise AssertionError("served without gradio")
