"""Remotes, each a real server: what is on them comes here proved, and what is not changes nothing."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import modelctl
from modelctl import Integrity, Unavailable
from tests.repos import Repo
from tests.servers import S3Server, Server, SshServer, http_server, s3_server, silent_port, ssh_server

pytestmark = pytest.mark.remote

KINDS = ("local", "ssh", "s3")
SECONDS = 45


@dataclass
class Store:
    """A remote that holds the three releases of the `repo` fixture, and a clone that uses it."""

    kind: str
    repo: Repo
    folder: Path
    server: Server | None = None

    @property
    def model(self) -> modelctl.Repository:
        return modelctl.Repository(self.repo.path)

    def remove(self, oid: str) -> None:
        """Take one object off the remote, past DVC."""
        name = f"files/md5/{oid[:2]}/{oid[2:]}"
        if isinstance(self.server, S3Server):
            self.server.client().delete_object(Bucket=self.server.bucket, Key=f"dvc/{name}")
        else:
            (self.folder / name).unlink()

    def put(self, oid: str, data: bytes) -> None:
        """Have the remote hold `data` under the name of an object."""
        name = f"files/md5/{oid[:2]}/{oid[2:]}"
        if isinstance(self.server, S3Server):
            self.server.client().put_object(Bucket=self.server.bucket, Key=f"dvc/{name}", Body=data)
        else:
            (self.folder / name).chmod(0o644)
            (self.folder / name).write_bytes(data)

    def stop(self) -> None:
        """Nobody reaches the remote any more."""
        if self.server is None:
            self.folder.rename(self.folder.with_name("gone"))
        else:
            self.server.stop()

    def oid(self, release: str, path: str = "models/model.bin") -> str:
        """The object that a release has at a path."""
        text = self.repo.git("show", f"model-{release}:{path}.dvc")
        return next(line.split()[-1] for line in text.splitlines() if "md5:" in line)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server | None]]:
    """Servers that last for the session, started when first asked for."""
    running: dict[str, Server] = {}
    with contextlib.ExitStack() as stack:

        def get(kind: str) -> Server | None:
            if kind != "local" and kind not in running:
                start = {"ssh": ssh_server, "s3": s3_server}[kind]
                running[kind] = stack.enter_context(start(tmp_path_factory.mktemp(kind) / "server"))
            return running.get(kind)

        yield get


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, repo: Repo, servers: Callable[[str], Server | None]) -> Store:
    """The clone of three releases with a cold cache, its remote moved to a server of each kind."""
    return move_to(request.param, repo, servers(request.param))


@pytest.fixture(params=KINDS)
def mortal(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> Iterator[Store]:
    """The same, with a server that the test may stop."""
    start = {"ssh": ssh_server, "s3": s3_server}.get(request.param)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start(tmp_path / "server")) if start else None
        yield move_to(request.param, repo, server)


def move_to(kind: str, repo: Repo, server: Server | None) -> Store:
    """Move the objects of `repo` to a remote of that kind, in `.dvc/config.local` as its secrets need."""
    folder = repo.path.parent / "moved"
    (repo.path.parent / "remote").rename(folder)
    if isinstance(server, SshServer):
        wanted = {"url": server.url(folder), "keyfile": str(server.keyfile)}
    elif isinstance(server, S3Server):
        upload(server, folder)
        wanted = {"url": f"s3://{server.bucket}/dvc", "endpointurl": server.endpoint, "region": "us-east-1"}
        wanted |= {"access_key_id": server.key, "secret_access_key": server.secret}
    else:
        wanted = {"url": "../../moved"}
    configure(repo, wanted)
    repo.drop_cache()
    return Store(kind, repo, folder, server)


def upload(server: S3Server, folder: Path) -> None:
    client = server.client()
    for item in client.list_objects_v2(Bucket=server.bucket).get("Contents", []):
        client.delete_object(Bucket=server.bucket, Key=item["Key"])
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            client.put_object(Bucket=server.bucket, Key=f"dvc/{name}", Body=path.read_bytes())


def state_of(repo: Repo) -> tuple[object, ...]:
    """All that a failed command must leave as it was; the cache may only gain objects that are what they say."""
    for name, md5 in repo.cached().items():
        assert name.removeprefix("files/md5/").replace("/", "").removesuffix(".dir") == md5
    return (repo.head(), repo.branch(), repo.git("status", "--porcelain"), repo.tree())


def fails(store: Store, error: type[modelctl.ModelctlError], release: str = "v1") -> modelctl.ModelctlError:
    """Assert that a rollback raises `error`, in a bounded time, and changes nothing at all."""
    before, began = state_of(store.repo), time.monotonic()
    with pytest.raises(error) as caught:
        store.model.rollback(release)
    assert time.monotonic() - began < SECONDS
    assert state_of(store.repo) == before
    assert_plain(store, f"{caught.value.message}\n{caught.value.hint}")
    return caught.value


def assert_plain(store: Store, text: str) -> None:
    """Assert that a message is lines for people: no secret, no traceback, nothing endless."""
    for secret in ("a-secret-that", "AKIAEXAMPLE"):
        assert secret not in text
    assert "Traceback" not in text
    assert len(text) < 700
    assert len(text.splitlines()) <= 2


def test_a_cold_cache_comes_back_from_each_remote(store: Store) -> None:
    """With no object here, a rollback brings the release's exact bytes from the remote."""
    done = store.model.rollback("v1")
    assert done.fetched_objects == 6
    assert store.repo.read("models/model.bin") == b"model 1\n" * 1000
    assert store.repo.read("models/dir/deep/c") == b"deep/c 1\n"
    assert store.repo.read("code.py") == b"VERSION = 1\n"
    assert store.repo.git("status", "--porcelain") == ""
    assert "up to date" in store.repo.dvc("status")


def test_release_list_fetch_and_verify_speak_to_each_remote(store: Store) -> None:
    """A release is pushed and proved there; list, fetch and verify then find it there."""
    store.repo.dvc("pull", "-q")
    store.repo.write("models/model.bin", b"model 4\n" * 70_000)
    store.repo.dvc("add", "-q", "models/model.bin")
    store.repo.commit("Model 4", 5)
    made = store.model.release("v4")
    assert (made.objects, made.pushed_objects) == (6, 1)
    store.repo.drop_cache()
    assert {row.version: row.remote for row in store.model.releases(remote=True)} == dict.fromkeys(
        ("v4", "v3", "v2", "v1"), "complete"
    )
    assert store.repo.cached() == {}
    checked = store.model.verify(remote=True)
    assert checked.ok, checked
    assert [item.objects for item in checked.releases] == [6, 6, 6, 6]
    assert store.model.fetch(last=2).ok
    assert {row.version: row.bytes for row in store.model.releases()}["v4"] == "cached"
    store.model.rollback("v3")
    assert store.repo.read("models/model.bin") == b"model 3\n" * 1000


def test_an_object_that_the_remote_lacks_changes_nothing(store: Store) -> None:
    """A rollback whose object is neither here nor on the remote names the file and touches nothing."""
    store.remove(store.oid("v1"))
    error = fails(store, Unavailable)
    assert "models/model.bin" in error.message
    assert store.oid("v1") in error.message
    rows = {row.version: row.remote for row in store.model.releases(remote=True)}
    assert (rows["v1"], rows["v2"]) == ("partly", "complete")
    verified = store.model.verify("v1", remote=True)
    assert verified.releases[0].missing == ("models/model.bin",)


def test_a_file_of_a_directory_that_the_remote_lacks_changes_nothing(store: Store) -> None:
    """A manifest without one of its files does not become half a directory."""
    store.remove(hashlib.md5(b"deep/c 1\n").hexdigest())
    error = fails(store, Unavailable)
    assert "models/dir/deep/c" in error.message


def test_wrong_bytes_on_the_remote_are_refused(store: Store) -> None:
    """An object of the right size with other content never reaches cache or workspace."""
    store.put(store.oid("v1"), b"model X\n" * 1000)
    error = fails(store, Integrity)
    assert "models/model.bin" in error.message
    assert store.oid("v1") in error.message
    assert store.model.verify("v1", remote=True).releases[0].corrupt == ("models/model.bin",)


def test_with_everything_cached_no_remote_is_needed(mortal: Store) -> None:
    """After a fetch, the remote may be down and every release is still within reach."""
    assert mortal.model.fetch(last=3).ok
    mortal.stop()
    for release in ("v1", "v3", "v2"):
        mortal.model.rollback(release) if release != "v3" else mortal.model.deploy(release)
        assert mortal.repo.read("models/model.bin") == f"model {release[1]}\n".encode() * 1000


def test_an_unreachable_remote_is_one_line(mortal: Store) -> None:
    """With nothing cached and the remote down, every verb that needs it says so and changes nothing."""
    mortal.stop()
    error = fails(mortal, Unavailable)
    assert "not fetched" in error.message
    assert mortal.model.status().branch == "main"
    before, began = state_of(mortal.repo), time.monotonic()
    fetched = mortal.model.fetch("v1")
    assert not fetched.ok
    assert_plain(mortal, fetched.releases[0].error)
    with pytest.raises(Unavailable) as caught:
        mortal.model.releases(remote=True)
    assert_plain(mortal, caught.value.message)
    assert time.monotonic() - began < 2 * SECONDS
    assert state_of(mortal.repo) == before


@pytest.mark.parametrize("scheme", ["ssh", "s3", "http"])
def test_a_remote_that_never_answers_is_given_up(repo: Repo, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and stays silent is waited for as long as we say, not as long as its transport would."""
    from modelctl.stores import transport

    monkeypatch.setattr(transport, "PATIENCE", 2.0)
    with silent_port() as port:
        own = {"endpointurl": f"http://127.0.0.1:{port}", "access_key_id": "AKIAEXAMPLE", "secret_access_key": "xyzzy"}
        url = {"s3": "s3://models/dvc"}.get(scheme, f"{scheme}://127.0.0.1:{port}/models")
        configure(repo, {"url": url} | (own if scheme == "s3" else {}))
        (repo.path.parent / "remote").rename(repo.path.parent / "gone")
        repo.drop_cache()
        error = fails(Store(scheme, repo, repo.path), Unavailable)
    assert "no answer within 2 seconds" in error.message


def test_a_plain_http_server_is_a_remote(repo: Repo, tmp_path: Path) -> None:
    """Objects behind a web server, read-only, are fetched and proved; one that is absent is named."""
    with http_server(repo.path.parent / "remote", tmp_path / "log") as server:
        configure(repo, {"url": f"http://127.0.0.1:{server.port}/"})
        repo.drop_cache()
        store = Store("http", repo, repo.path.parent / "remote", server)
        store.model.rollback("v2")
        assert repo.read("models/model.bin") == b"model 2\n" * 1000
        store.remove(store.oid("v1"))
        error = fails(store, Unavailable)
        assert f"models/model.bin ({store.oid('v1')}) is neither" in error.message


def test_a_single_absent_object_is_not_a_broken_remote(store: Store) -> None:
    """The last missing file of a release is named as missing, not as a failure of the transport."""
    store.model.fetch("v1")
    store.remove(store.oid("v1"))
    store.repo.object(store.oid("v1")).unlink()
    assert "is neither in the cache nor on" in fails(store, Unavailable).message


def test_a_key_that_is_not_let_in_is_one_line(
    repo: Repo, servers: Callable[[str], Server | None], tmp_path: Path
) -> None:
    """A refused login is said, with the host and without a traceback."""
    server = servers("ssh")
    store = move_to("ssh", repo, server)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    configure(repo, {"keyfile": str(tmp_path / "other")})
    error = fails(store, Unavailable)
    assert "Permission denied" in error.message
    assert "credentials" in error.hint


def test_a_bucket_that_does_not_exist_is_one_line(repo: Repo, servers: Callable[[str], Server | None]) -> None:
    """A wrong bucket is an object that is not there, and the place that was asked is named."""
    store = move_to("s3", repo, servers("s3"))
    configure(repo, {"url": "s3://no-such-bucket/dvc"})
    assert "s3://no-such-bucket/dvc" in fails(store, Unavailable).message


@pytest.mark.parametrize(
    ("url", "missing", "said"),
    [
        ("s3://models/dvc", ("dvc_s3", "s3fs"), "modelctl[s3]"),
        ("s3://models/dvc", ("s3fs",), "modelctl[s3]"),
        ("ssh://example.org/models", ("dvc_ssh", "sshfs"), "modelctl[ssh]"),
        ("gs://models/dvc", ("dvc_gs", "gcsfs"), "modelctl[gs]"),
        ("webdavs://example.org/models", ("dvc_webdav",), "dvc[webdav]"),
    ],
)
def test_a_missing_extra_is_named(repo: Repo, tmp_path: Path, url: str, missing: tuple[str, ...], said: str) -> None:
    """Where the plug-in of a remote is not installed, one line says what to install."""
    configure(repo, {"url": url})
    repo.drop_cache()
    done = run_without(missing, repo, tmp_path / "packages")
    assert done.returncode == 0, done.stderr
    message, hint = done.stdout.splitlines()
    assert said in message
    assert hint == f'pip install "{said}"'


@pytest.mark.parametrize("password", ["opensesame", "open@sesame", "open:sesame"])
def test_credentials_in_a_url_are_never_printed(repo: Repo, password: str) -> None:
    """Whatever is said of a remote, the password in its address is not."""
    configure(repo, {"url": f"http://ann:{password}@127.0.0.1:9/models", "password": "another-sesame"})
    (repo.path.parent / "remote").rename(repo.path.parent / "gone")
    repo.drop_cache()
    store = Store("http", repo, repo.path)
    lines: list[str] = []
    from modelctl.commands.fetch import fetch
    from modelctl.switching.opening import open_clone

    with open_clone(repo.path) as clone:
        lines += [release.error for release in fetch(clone, releases=("v1",), progress=lines.append).releases]
        lines.append(repr(clone.config("")))
    shown = store.model.show("v1")
    error = fails(store, Unavailable)
    assert "sesame" not in "\n".join([*lines, repr(shown), error.message, error.hint])


def configure(repo: Repo, values: dict[str, str]) -> None:
    """Set options of the remote where secrets belong, in `.dvc/config.local`."""
    path = repo.path / ".dvc/config.local"
    parser = configparser.RawConfigParser()
    parser.read(path)
    section = "'remote \"store\"'"
    if not parser.has_section(section):
        parser.add_section(section)
    for key, value in values.items():
        parser.set(section, key, value)
    with open(path, "w", encoding="utf-8") as file:
        parser.write(file)


def run_without(missing: tuple[str, ...], repo: Repo, folder: Path) -> subprocess.CompletedProcess[str]:
    """Roll back in an interpreter in which some packages are not installed; prints message and hint."""
    folder.mkdir()
    for site in {Path(name) for name in sys.path if name.endswith("site-packages")}:
        for entry in site.iterdir():
            if not entry.name.lower().startswith(missing):
                (folder / entry.name).symlink_to(entry)
    program = (
        "import modelctl, sys\n"
        "try:\n    modelctl.Repository(sys.argv[1]).rollback('v1')\n"
        "except modelctl.Unavailable as exc:\n    print(exc.message, exc.hint, sep='\\n')\n"
    )
    source = Path(modelctl.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-S", "-c", program, str(repo.path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{folder}"},
    )
