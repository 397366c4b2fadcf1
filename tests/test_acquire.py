"""Objects come into the cache proved, from where today's configuration says, or nothing has changed."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import modelctl
from modelctl import Integrity, Unavailable
from modelctl.domain.pointers import Digest
from tests.repos import Repo, make_repo

MODEL = "models/model.bin"


def bytes_of(release: int) -> bytes:
    """What `models/model.bin` holds in a release of the `repo` fixture."""
    return f"model {release}\n".encode() * 1000


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def spoil(path: Path, data: bytes | None = None) -> bytes:
    """Replace an object by other bytes, by default of the same size; read-only, as DVC leaves objects."""
    wrong = data if data is not None else path.read_bytes().replace(b"model", b"MODEL")
    path.unlink()
    path.write_bytes(wrong)
    path.chmod(0o444)
    return wrong


def on_remote(repo: Repo, oid: str, remote: str = "remote") -> Path:
    return repo.path.parent / remote / "files/md5" / oid[:2] / oid[2:]


def state_of(repo: Repo) -> tuple[object, ...]:
    return (repo.head(), repo.branch(), repo.git("status", "--porcelain"), repo.tree(), repo.cached(), links(repo))


def links(repo: Repo) -> dict[str, int]:
    """The inode of every file of the models: nothing was replaced by an equal copy either."""
    return {str(path): path.lstat().st_ino for path in (repo.path / "models").rglob("*")}


def fails(repo: Repo, error: type[modelctl.ModelctlError], release: str = "v1") -> modelctl.ModelctlError:
    """Assert that a rollback raises exactly `error` and leaves tree, HEAD and cache as they were."""
    before = state_of(repo)
    with pytest.raises(error) as caught:
        modelctl.Repository(repo.path).rollback(release)
    assert type(caught.value) is error
    assert state_of(repo) == before
    return caught.value


def config(repo: Repo, text: str) -> None:
    """Replace the committed DVC configuration."""
    repo.write(".dvc/config", text)
    repo.commit("Configure DVC", 5)


def pointer(repo: Repo, path: str, oid: str, extra: str = "", generation: str = "  hash: md5\n") -> None:
    repo.write(f"{path}.dvc", f"outs:\n- md5: {oid}\n{generation}{extra}  path: {Path(path).name}\n")


# What is in the cache is not believed.


def test_wrong_bytes_in_the_cache_are_set_aside_and_fetched_again(repo: Repo) -> None:
    """An object of the right size with other content is replaced by the right one, and kept."""
    wrong = spoil(repo.object(md5(bytes_of(1))))
    done = modelctl.Repository(repo.path).rollback("v1")
    assert repo.read(MODEL) == bytes_of(1)
    assert repo.object(md5(bytes_of(1))).read_bytes() == bytes_of(1)
    assert [Path(kept).read_bytes() for kept in done.set_aside] == [wrong]
    repo.assert_clean()


def test_wrong_bytes_in_a_directory_are_set_aside_too(repo: Repo) -> None:
    """One bad file of a directory is fetched again, and its good neighbours are not."""
    spoil(repo.object(md5(b"deep/c 1\n")), b"DEEP/C 1\n")
    done = modelctl.Repository(repo.path).rollback("v1")
    assert done.fetched_objects == 1
    assert repo.read("models/dir/deep/c") == b"deep/c 1\n"


@pytest.mark.parametrize("gone", ["object", "remote"])
def test_wrong_bytes_that_cannot_be_replaced_are_put_back(repo: Repo, gone: str) -> None:
    """Where the right bytes are to be had nowhere, the cache is left exactly as it was found."""
    oid = md5(bytes_of(1))
    spoil(repo.object(oid))
    if gone == "object":
        on_remote(repo, oid).unlink()
    else:
        (repo.path.parent / "remote").rename(repo.path.parent / "away")
    error = fails(repo, Integrity)
    assert error.message.startswith(f"models/model.bin: the cached object {oid} holds other bytes")


def test_a_damaged_manifest_is_fetched_again(repo: Repo) -> None:
    """A manifest that is not what its name says is no list of files to go by."""
    manifest = next(path for path in (repo.path / ".dvc/cache").rglob("*.dir"))
    spoil(manifest, b"[]")
    for release in ("v1", "v2"):
        modelctl.Repository(repo.path).rollback(release)
    modelctl.Repository(repo.path).deploy("v3")
    assert repo.read("models/dir/deep/c") == b"deep/c 3\n"
    assert md5(manifest.read_bytes()) + ".dir" == manifest.parent.name + manifest.name


# What comes from a remote is not believed either.


@pytest.mark.parametrize("wrong", [b"MODEL 1\n" * 1000, b"short", b""])
def test_wrong_bytes_on_the_remote_do_not_come_in(repo: Repo, wrong: bytes) -> None:
    """An object with other content on the remote is refused, whatever its size."""
    oid = md5(bytes_of(1))
    spoil(on_remote(repo, oid), wrong)
    repo.object(oid).unlink()
    error = fails(repo, Integrity)
    assert error.exit_code == 4
    assert MODEL in error.message
    assert oid in error.message


def test_a_missing_manifest_is_named(repo: Repo) -> None:
    """A directory whose manifest is nowhere is missing as a whole."""
    oid = next(line.split()[-1] for line in repo.git("show", "model-v1:models/dir.dvc").splitlines() if "md5:" in line)
    repo.object(oid).unlink()
    on_remote(repo, oid).unlink()
    assert f"models/dir ({oid})" in fails(repo, Unavailable).message


def test_a_missing_file_of_a_directory_is_named(repo: Repo) -> None:
    """A manifest without its files is not half a directory: the first that is missing is named, the rest counted."""
    for name in (b"a 1\n", b"deep/c 1\n"):
        repo.object(md5(name)).unlink()
        on_remote(repo, md5(name)).unlink()
    message = fails(repo, Unavailable).message
    assert "models/dir/a and 1 more" in message


LIES = {
    "not JSON": b"relpath: a",
    "not a list": b'{"md5": "0"}',
    "not files": b'["a", "b"]',
    "a way out": '[{"md5": "MD5", "relpath": "../../escaped"}]',
    "an absolute path": '[{"md5": "MD5", "relpath": "/tmp/escaped"}]',
    "a way out in the middle": '[{"md5": "MD5", "relpath": "a/../../../escaped"}]',
    "Git's folder": '[{"md5": "MD5", "relpath": ".git/hooks/post-checkout"}]',
    "the same path twice": '[{"md5": "MD5", "relpath": "a"}, {"md5": "MD5", "relpath": "a"}]',
    "a file as a folder": '[{"md5": "MD5", "relpath": "a"}, {"md5": "MD5", "relpath": "a/b"}]',
    "a hash that is a path": '[{"md5": "../../../../etc/passwd", "relpath": "a"}]',
    "a bidirectional name": '[{"md5": "MD5", "relpath": "a\\u202etxt"}]',
    "a name with a newline": '[{"md5": "MD5", "relpath": "a\\nb"}]',
    "nothing under a name": '[{"md5": "MD5", "relpath": ""}]',
    "bottomless nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_that_lies_is_refused(repo: Repo, lie: str) -> None:
    """A manifest that is no plain list of files below its directory is refused before anything is built."""
    text = LIES[lie]
    data = text if isinstance(text, bytes) else text.replace("MD5", md5(bytes_of(1))).encode()
    oid = f"{md5(data)}.dir"
    on_remote(repo, oid).parent.mkdir(exist_ok=True)
    on_remote(repo, oid).write_bytes(data)
    pointer(repo, "models/dir", oid)
    repo.git("commit", "-qam", "A lie")
    repo.tag("model-v4")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    before = {path for path in repo.path.parent.rglob("*") if "files" not in path.parts}
    with pytest.raises(Integrity):
        modelctl.Repository(repo.path).deploy("v4")
    assert repo.read("models/dir/a") == b"a 3\n"
    assert {path for path in repo.path.parent.rglob("*") if "files" not in path.parts} - before <= own_files(repo)
    assert repo.git("status", "--porcelain") == ""


def own_files(repo: Repo) -> set[Path]:
    """What modelctl keeps for itself, and DVC's temporary folder."""
    return {*(repo.path / ".git/modelctl").rglob("*"), repo.path / ".git/modelctl", *(repo.path / ".dvc").rglob("*")}


# Which configuration rules.


def move_remote(repo: Repo, name: str = "moved") -> Path:
    """Move the remote's folder and tell today's configuration, not the tags'."""
    folder = repo.path.parent / name
    (repo.path.parent / "remote").rename(folder)
    config(repo, f"[core]\n    remote = store\n['remote \"store\"']\n    url = ../../{name}\n")
    return folder


def test_todays_remote_is_asked_first(repo: Repo) -> None:
    """A tag whose configuration names a remote that has moved since is fetched from where it is now."""
    folder = move_remote(repo)
    shutil.copytree(folder, repo.path.parent / "remote")
    spoil(on_remote(repo, md5(bytes_of(1))))
    repo.drop_cache()
    modelctl.Repository(repo.path).rollback("v1")
    assert repo.read(MODEL) == bytes_of(1)


def test_the_tags_remote_is_asked_when_todays_has_it_not(repo: Repo) -> None:
    """Objects that only the remote of the tag's own configuration has are found there."""
    shutil.copytree(repo.path.parent / "remote", repo.path.parent / "kept")
    folder = move_remote(repo)
    (repo.path.parent / "kept").rename(repo.path.parent / "remote")
    oid = md5(bytes_of(1))
    (folder / "files/md5" / oid[:2] / oid[2:]).unlink()
    repo.drop_cache()
    done = modelctl.Repository(repo.path).rollback("v1")
    assert done.fetched_objects == 6
    assert repo.read(MODEL) == bytes_of(1)


@pytest.mark.parametrize(
    "url",
    ["ssh://example.invalid:99999/x", "http://[bad/x", "remote://store/x", "nosuch://x", "", "/nowhere", "~/nowhere"],
)
def test_a_tags_remote_that_makes_no_sense_is_passed_over(repo: Repo, url: str) -> None:
    """Whatever the tag's configuration has for an address, what is said is that today's remote has not the object."""
    tag_with_config(repo, f"[core]\n    remote = store\n['remote \"store\"']\n    url = {url}\n")
    oid = md5(bytes_of(1))
    on_remote(repo, oid).unlink()
    repo.object(oid).unlink()
    assert f"({oid}) is neither in the cache nor on" in fails(repo, Unavailable, "v0.9").message


def test_with_no_remote_today_the_tags_is_used(repo: Repo) -> None:
    """A configuration that has lost its remote does not cut off the releases that had one."""
    config(repo, "[core]\n    autostage = true\n")
    repo.drop_cache()
    modelctl.Repository(repo.path).rollback("v1")
    assert repo.read(MODEL) == bytes_of(1)


class Web(http.server.ThreadingHTTPServer):
    """A web server in this process that remembers what it was asked, and can stop in the middle of a file."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[dict[str, str]] = []
        self.stall = ""
        self.stalled = threading.Event()
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _handler(folder))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def _handler(folder: Path) -> type[http.server.SimpleHTTPRequestHandler]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        server: Web

        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, *args: object) -> None:
            """Be quiet."""

        def send_head(self):
            self.server.seen.append({**dict(self.headers.items()), "path": self.path})
            return super().send_head()

        def copyfile(self, source, outputfile) -> None:
            if self.server.stall and self.path.endswith(self.server.stall):
                outputfile.write(source.read(500_000))
                outputfile.flush()
                self.server.stalled.set()
                self.server.released.wait(60)
            with contextlib.suppress(ConnectionError):
                super().copyfile(source, outputfile)

    return Handler


@pytest.fixture
def web(repo: Repo) -> Iterator[Web]:
    """The remote's folder behind a web server."""
    with Web(repo.path.parent / "remote") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()


def tag_with_config(repo: Repo, text: str) -> None:
    """A release `v4` whose own configuration is `text`, of v1's bytes; today's has an empty remote elsewhere."""
    repo.git("checkout", "-q", "model-v1")
    config(repo, text)
    repo.tag("model-v0.9", day=5)
    repo.git("checkout", "-q", "main")
    (repo.path.parent / "empty").mkdir()


def test_of_the_tags_remote_only_the_location_is_believed(repo: Repo, web: Web) -> None:
    """Neither the tag's own credentials nor today's go to the place that the tag's configuration names."""
    tag_with_config(
        repo,
        f"[core]\n    remote = store\n['remote \"store\"']\n    url = {web.url}\n    auth = custom\n"
        "    custom_auth_header = X-Tag-Key\n    password = from-the-tag\n    user = tag\n",
    )
    config(repo, "[core]\n    remote = store\n['remote \"store\"']\n    url = http://127.0.0.1:9/nobody\n")
    repo.write(
        ".dvc/config.local",
        "['remote \"store\"']\n    auth = custom\n    custom_auth_header = X-Today-Key\n    password = from-today\n",
    )
    repo.drop_cache()
    modelctl.Repository(repo.path).rollback("v0.9")
    assert repo.read(MODEL) == bytes_of(1)
    assert len(web.seen) >= 6
    assert "from-t" not in json.dumps(web.seen)


def test_the_same_server_gets_todays_credentials(repo: Repo, web: Web) -> None:
    """A remote that moved on its server is read at the old place with the settings of today."""
    tag_with_config(repo, f"[core]\n    remote = store\n['remote \"store\"']\n    url = {web.url}/\n")
    config(repo, f"[core]\n    remote = store\n['remote \"store\"']\n    url = {web.url}/elsewhere\n")
    repo.write(
        ".dvc/config.local",
        "['remote \"store\"']\n    auth = custom\n    custom_auth_header = X-Key\n    password = from-today\n",
    )
    repo.drop_cache()
    modelctl.Repository(repo.path).rollback("v0.9")
    assert repo.read(MODEL) == bytes_of(1)
    assert {seen.get("X-Key") for seen in web.seen} == {"from-today"}


@pytest.mark.parametrize(
    "then",
    [
        "[core]\n    remote = store\n['remote \"store\"']\n    url = ../../nowhere\n",
        "[core]\n    remote = store\n['remote \"store\"']\n    url = ssh://example.invalid/x\n    keyfile = ../k\n",
        "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://gone\n    endpointurl = http://127.0.0.1:9\n",
        "",
        "this is no configuration\n[",
        "[core]\n    remote = store\n    site_cache_dir = /proc/nowhere\n",
    ],
)
def test_at_an_old_release_todays_configuration_rules(repo: Repo, then: str) -> None:
    """While HEAD is detached at a release with another configuration, the branch's own is still used."""
    tag_with_config(repo, then)
    modelctl.Repository(repo.path).rollback("v0.9")
    repo.drop_cache()
    modelctl.Repository(repo.path).deploy("v2")
    assert repo.read(MODEL) == bytes_of(2)
    modelctl.Repository(repo.path).rollback("v0.9")
    assert repo.read(".dvc/config") == then.encode()
    assert repo.git("status", "--porcelain") == ""


@pytest.mark.parametrize("then", ["this is no configuration\n[", "[cache]\n    dir = ../../other\n"])
@pytest.mark.parametrize("point", ["journal.switched:after", "files.append:before", "journal.clear:before"])
def test_recovery_goes_by_todays_configuration_too(repo: Repo, then: str, point: str) -> None:
    """Killed when the release is live and not yet recorded, what follows is by the branch's configuration."""
    tag_with_config(repo, then)
    program = "import modelctl, sys; modelctl.Repository(sys.argv[1]).rollback('v0.9')"
    command = [sys.executable, "-c", program, str(repo.path)]
    assert subprocess.run(command, env={**os.environ, "MODELCTL_FAULT": point}).returncode == -signal.SIGKILL
    modelctl.Repository(repo.path).deploy("v2")
    assert repo.read(MODEL) == bytes_of(2)
    assert not (repo.path.parent / "other").exists()


def test_a_commit_from_before_dvc_is_no_dead_end(repo: Repo) -> None:
    """At a commit without DVC a release is still fetched, from where its own configuration says."""
    repo.git("checkout", "-q", "--orphan", "before")
    repo.git("rm", "-rqf", ".")
    shutil.rmtree(repo.path / "models")
    repo.write("README", "no DVC yet\n")
    repo.git("add", "README")
    repo.git("commit", "-qm", "Before DVC")
    shutil.rmtree(repo.path / ".dvc")
    assert repo.git("status", "--porcelain") == ""
    modelctl.Repository(repo.path).deploy("v1")
    assert repo.read(MODEL) == bytes_of(1)
    assert repo.git("status", "--porcelain") == ""


def test_a_fetch_leaves_dvcs_gitignore_alone(repo: Repo) -> None:
    """Where a release has no `.dvc/.gitignore`, fetching there does not write one."""
    repo.git("rm", "-q", ".dvc/.gitignore")
    repo.write(".gitignore", "/.dvc/tmp\n/.dvc/cache\n/.dvc/config.local\n/models/model.bin\n/models/dir\n")
    repo.commit("Ignore at the top", 6)
    repo.tag("model-v4")
    repo.drop_cache()
    modelctl.Repository(repo.path).fetch("v1")
    assert not (repo.path / ".dvc/.gitignore").exists()
    assert repo.git("status", "--porcelain") == ""


# Where the cache is, and which remote.


@pytest.mark.parametrize("where", ["../../common cache", "{top}/elsewhere/cache", "~/dvc cache"])
def test_cache_dir_is_where_objects_go(repo: Repo, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `cache.dir` set, objects are looked for, fetched and linked there."""
    monkeypatch.setenv("HOME", str(repo.path.parent / "home"))
    where = where.format(top=repo.path.parent)
    repo.write(".dvc/config.local", f"[cache]\n    dir = {where}\n    type = hardlink\n")
    repo.drop_cache()
    modelctl.Repository(repo.path).rollback("v1")
    cache = Path(os.path.normpath(repo.path / ".dvc" / where.replace("~", str(repo.path.parent / "home"))))
    stored = cache / Digest(md5(bytes_of(1))).relative
    assert stored.samefile(repo.path / MODEL)
    assert not (repo.path / ".dvc/cache/files").exists()
    (repo.path.parent / "remote").rename(repo.path.parent / "away")
    modelctl.Repository(repo.path).rollback("v1", everything=True)
    assert "up to date" in repo.dvc("status")


def test_an_out_with_a_remote_of_its_own(repo: Repo) -> None:
    """An out that names a remote comes from there, its neighbours from the default one."""
    other = repo.path.parent / "other"
    repo.dvc("remote", "add", "-q", "Other", "../other")
    text = repo.read("models/model.bin.dvc").decode().rstrip("\n") + "\n  remote: other\n"
    repo.write("models/model.bin.dvc", text)
    repo.commit("Its own remote", 5)
    repo.tag("model-v4")
    on_remote(repo, md5(bytes_of(3))).unlink()
    target = other / "files/md5" / md5(bytes_of(3))[:2]
    target.mkdir(parents=True)
    (target / md5(bytes_of(3))[2:]).write_bytes(bytes_of(3))
    modelctl.Repository(repo.path).rollback("v1")
    repo.drop_cache()
    modelctl.Repository(repo.path).deploy("v4")
    assert repo.read(MODEL) == bytes_of(3)
    assert repo.read("models/dir/a") == b"a 3\n"


def test_a_named_remote_that_is_not_configured(repo: Repo) -> None:
    """An out of a remote that today's configuration does not have says which, and nothing changes."""
    pointer(repo, "models/model.bin", md5(b"x"), "  remote: archive\n  size: 1\n")
    repo.commit("Archived", 5)
    repo.tag("model-v4")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    assert "the DVC remote archive is not configured" in fails(repo, Unavailable, "model-v4").message


def test_objects_of_dvc_2_come_from_where_dvc_2_put_them(repo: Repo) -> None:
    """Pointers without a hash name objects one level higher, text hashed with its line ends normalised."""
    crlf, plain = b"weights\r\n1\r\n", bytes(range(256))
    listing = [{"md5": md5(b"x\n"), "relpath": "x"}, {"md5": md5(plain), "relpath": "y"}]
    manifest = json.dumps(listing).encode()
    objects = {md5(b"weights\n1\n"): crlf, md5(plain): plain, f"{md5(manifest)}.dir": manifest, md5(b"x\n"): b"x\r\n"}
    for oid, data in objects.items():
        path = repo.path.parent / "remote" / oid[:2] / oid[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    pointer(repo, "models/model.bin", md5(b"weights\n1\n"), generation="")
    pointer(repo, "models/dir", f"{md5(manifest)}.dir", generation="")
    repo.commit("As DVC 2 wrote it", 5)
    repo.tag("model-v4")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    done = modelctl.Repository(repo.path).deploy("v4")
    assert done.fetched_objects == 4
    assert repo.read(MODEL) == crlf
    assert (repo.read("models/dir/x"), repo.read("models/dir/y")) == (b"x\r\n", plain)
    assert (repo.path / ".dvc/cache" / md5(plain)[:2] / md5(plain)[2:]).is_file()
    assert "up to date" in repo.dvc("status")
    modelctl.Repository(repo.path).rollback("v1")
    assert repo.read(MODEL) == bytes_of(1)


def test_an_empty_file_is_an_object_too(repo: Repo) -> None:
    """A tracked file without bytes is fetched like any other."""
    repo.write(MODEL, b"")
    repo.dvc("add", "-q", MODEL)
    repo.commit("Empty", 5)
    repo.tag("model-v4")
    repo.dvc("push", "-q")
    modelctl.Repository(repo.path).rollback("v1")
    repo.drop_cache()
    modelctl.Repository(repo.path).deploy("v4")
    assert repo.read(MODEL) == b""
    assert "up to date" in repo.dvc("status")


# Imports.


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the repository lies that the models of `importing` come from."""
    return tmp_path_factory.mktemp("source")


@pytest.fixture
def importing(fresh: Callable[[str, Callable[[Repo], None]], Repo], source: Path) -> Repo:
    """A clone whose model is imported from another repository, `v1` and `v2`, with an empty remote of its own."""
    return fresh("importing", lambda repo: build_import(repo, source))


def build_import(repo: Repo, folder: Path) -> None:
    source = make_repo(folder)
    (repo.path / "models").mkdir()
    for number in (1, 2):
        source.write("data/weights.bin", f"imported {number}\n" * 100)
        source.write("data/many/a", f"a {number}")
        source.write("data/many/b", "b")
        source.dvc("add", "-q", "data/weights.bin", "data/many")
        source.commit(f"Weights {number}", number)
        source.tag(f"r{number}")
        source.dvc("push", "-q")
        for name in ("weights.bin", "many"):
            if number == 1:
                url = str(source.path)
                repo.dvc("import", "-q", url, f"data/{name}", "-o", f"models/{name}", "--rev", "r1")
            else:
                repo.dvc("update", "-q", f"models/{name}.dvc", "--rev", "r2")
        repo.commit(f"Import {number}", number)
        repo.tag(f"model-v{number}")
    repo.git("push", "-q", "origin", "main", "--tags")


@pytest.mark.parametrize("where", [".", "models", ".."])
def test_imports_come_from_where_they_were_imported(
    importing: Repo, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An imported model with a cold cache is fetched from the other repository, from whatever folder one is in."""
    monkeypatch.chdir(importing.path / where)
    importing.drop_cache()
    modelctl.Repository(importing.path).rollback("v1")
    assert importing.read("models/weights.bin") == b"imported 1\n" * 100
    assert importing.read("models/many/a") == b"a 1"
    assert {md5(b"imported 1\n" * 100), md5(b"a 1"), md5(b"b")} <= set(importing.cached().values())
    assert importing.git("status", "--porcelain") == ""


def test_an_import_whose_source_is_gone(importing: Repo, source: Path) -> None:
    """Without the other repository an import is unavailable, in one line, and nothing has changed."""
    importing.drop_cache()
    away = source.rename(source.with_name("away"))
    try:
        error = fails(importing, Unavailable)
    finally:
        away.rename(source)
    assert "models/many" in error.message
    assert "at its source" in error.message


# A fetch that ends in the middle.


def test_a_fetch_that_is_killed_leaves_nothing_that_hurts(repo: Repo, web: Web) -> None:
    """Killed with half a file here, the next try fetches it whole; what was left is no object."""
    large = bytes_of(4) * 200
    repo.write(MODEL, large)
    repo.dvc("add", "-q", MODEL)
    repo.commit("Model 4", 4)
    repo.tag("model-v4")
    repo.dvc("push", "-q")
    modelctl.Repository(repo.path).rollback("v3")
    repo.git("checkout", "-q", "main")
    config(repo, f"[core]\n    remote = store\n['remote \"store\"']\n    url = {web.url}\n")
    modelctl.Repository(repo.path).rollback("v3")
    repo.object(md5(large)).unlink()
    web.stall = md5(large)[2:]
    before = repo.tree()
    program = "import modelctl, sys; modelctl.Repository(sys.argv[1]).deploy('v4')"
    with subprocess.Popen([sys.executable, "-c", program, str(repo.path)]) as process:
        assert web.stalled.wait(60)
        until = time.monotonic() + 60
        while not leftovers(repo) and time.monotonic() < until:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert leftovers(repo)
    web.stall = ""
    web.released.set()
    assert repo.tree() == before
    assert repo.git("describe", "--tags") == "model-v3"
    modelctl.Repository(repo.path).deploy("v4")
    assert repo.read(MODEL) == large
    assert "up to date" in repo.dvc("status")


def leftovers(repo: Repo) -> list[Path]:
    """Temporary files in the cache that hold something."""
    return [path for path in (repo.path / ".dvc/cache").rglob("*.tmp") if path.stat().st_size]


@pytest.mark.parametrize("point", ["dvc.fetch:before", "dvc.fetch:after", "objects.set-aside:after"])
def test_a_kill_around_a_fetch_is_harmless(repo: Repo, point: str) -> None:
    """Killed before or after objects came, or while a bad one was set aside, the next try succeeds."""
    spoil(repo.object(md5(bytes_of(1))))
    program = "import modelctl, sys; modelctl.Repository(sys.argv[1]).rollback('v1')"
    before = repo.tree()
    done = subprocess.run([sys.executable, "-c", program, str(repo.path)], env={**os.environ, "MODELCTL_FAULT": point})
    assert done.returncode == -signal.SIGKILL
    assert (repo.tree(), repo.branch()) == (before, "main")
    modelctl.Repository(repo.path).rollback("v1")
    assert repo.read(MODEL) == bytes_of(1)
    repo.assert_clean()


def test_interrupted_between_two_objects_the_cache_is_put_back(repo: Repo) -> None:
    """Ctrl-C while objects are fetched puts what was set aside back and is passed on."""
    oid = md5(bytes_of(1))
    wrong = spoil(repo.object(oid))
    program = "import modelctl, sys; modelctl.Repository(sys.argv[1]).rollback('v1')"
    done = subprocess.run(
        [sys.executable, "-c", program, str(repo.path)],
        env={**os.environ, "MODELCTL_FAULT": "dvc.fetch:before:1:INT"},
        capture_output=True,
        text=True,
    )
    assert "KeyboardInterrupt" in done.stderr
    assert repo.object(oid).read_bytes() == wrong
