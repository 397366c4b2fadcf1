"""Servers for tests, real ones: started on loopback, on a port of their own, stopped with the test."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HOST = "127.0.0.1"


@dataclass
class Server:
    """A process that listens on a port of the loopback interface."""

    command: list[str]
    port: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env={**os.environ, **self.environment}
            )
        wait_for(self.port, self.process, self.log)

    def stop(self) -> None:
        """Stop it: from now on connections are refused."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, *, seconds: float = 60) -> None:
    """Poll a port until something accepts there; what the server said is in the failure."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.02)
    pytest.fail(f"nothing listens on port {port}: {log.read_text(errors='replace')}")


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def absent(what: str) -> None:
    """Skip the test for want of `what`; where everything is required, fail it."""
    if os.environ.get("MODELCTL_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is needed and not here")
    pytest.skip(f"{what} is not here")


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers, as a firewall that swallows packets looks."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


@contextlib.contextmanager
def http_server(folder: Path, log: Path) -> Iterator[Server]:
    """A web server that shows the files of a folder."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", HOST, "--directory", str(folder), str(port)]
    server = Server(command, port, log)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class SshServer(Server):
    """An OpenSSH server; `keyfile` lets its one user in."""

    keyfile: Path = Path()

    def url(self, folder: Path) -> str:
        """The folder of this machine as a DVC remote."""
        return f"ssh://{getpass.getuser()}@{HOST}:{self.port}{folder}"


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """An OpenSSH server with host and user keys of its own."""
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None:
        absent("an OpenSSH server (sshd)")
    try:
        import dvc_ssh  # noqa: F401
    except ImportError:
        absent("dvc[ssh]")
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True
        )
    allowed = folder / "authorized_keys"
    allowed.write_bytes((folder / "user.pub").read_bytes())
    allowed.chmod(0o600)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress {HOST}\nHostKey {folder}/host\nAuthorizedKeysFile {allowed}\n"
        f"PidFile {folder}/sshd.pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nMaxSessions 32\n"
        "MaxStartups 64\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    server = SshServer(
        [str(sshd), "-D", "-e", "-f", str(folder / "sshd_config")],
        port,
        folder / "log",
        keyfile=folder / "user",
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class S3Server(Server):
    """An S3 server (moto's, in a process of its own), with one bucket."""

    bucket: str = "models"
    key: str = "AKIAEXAMPLEONLYTESTS"
    secret: str = "a-secret-that-nobody-may-print"

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def client(self):
        """A plain S3 client, to look at the bucket past DVC."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """An S3 server with an empty bucket."""
    for module in ("moto.server", "flask_cors", "dvc_s3"):
        try:
            __import__(module)
        except ImportError:
            absent(module)
    folder.mkdir()
    port = free_port()
    server = S3Server(
        [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)],
        port,
        folder / "log",
    )
    server.start()
    try:
        server.client().create_bucket(Bucket=server.bucket)
        yield server
    finally:
        server.stop()
