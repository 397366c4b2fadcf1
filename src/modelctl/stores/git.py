"""Git, through its plumbing on the hot path and through GitPython off it.

Arguments are full ref names, object names or validated paths; the environment is scrubbed and no
hook, file-system monitor or `ext::` transport that a repository configures is ever run.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelctl import faults
from modelctl.domain.paths import quoted
from modelctl.domain.releases import Tag
from modelctl.errors import Locked, NotFound, Refused, Unavailable
from modelctl.stores.git_objects import ObjectReader

_KEPT = {
    "GIT_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_SSH", "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "GIT_TERMINAL_PROMPT", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE", "GIT_EXEC_PATH",
}  # fmt: skip
_KEPT_PREFIXES = ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_MAY_ASK = {"ls-remote", "fetch", "push"}
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never",
    "-c", "core.fsync=committed,index", "-c", "submodule.recurse=false", "-c", "advice.detachedHead=false",
)  # fmt: skip
_OPERATIONS = {
    "MERGE_HEAD": ("a merge", "git merge --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --abort"),
    "REVERT_HEAD": ("a revert", "git revert --abort"),
    "rebase-merge": ("a rebase", "git rebase --abort"),
    "rebase-apply": ("a rebase", "git rebase --abort"),
    "BISECT_LOG": ("a bisect", "git bisect reset"),
}
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
_LOCK = re.compile(r"['\"`](?P<path>[^'\"`\n]+\.lock)['\"`]: File exists")
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Head:
    """Where HEAD is: a commit, through a branch or detached (`branch` None)."""

    commit: str | None
    branch: str | None


@dataclass(frozen=True, slots=True)
class TreeChange:
    """A tracked path that differs between two commits; modes are `000000` where it is absent."""

    path: str
    old_mode: str
    old_oid: str
    new_mode: str
    new_oid: str


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """A path that differs from HEAD: `code` is Git's two letters (index, worktree), `??` untracked."""

    path: str
    code: str


@dataclass(frozen=True, slots=True)
class Git:
    """A Git repository and the working tree that was asked for."""

    top: Path
    git_dir: Path
    common_dir: Path
    bare: bool
    shallow: bool

    def run(
        self,
        *args: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        held: int | None = None,
    ) -> bytes:
        """Run a plumbing command and return its output; raises `Unavailable` with what Git said.

        `held` is an open file that the process keeps open for as long as it lives, should we die before.
        """
        result = _spawn(("-C", str(self.top), *args), stdin=stdin, env=env, held=held)
        if check and result.returncode != 0:
            raise git_failed(_verb(args), result.stderr)
        return result.stdout

    def succeeds(self, *args: str) -> bool:
        """Whether a command exits 0."""
        return _spawn(("-C", str(self.top), *args)).returncode == 0

    def head(self) -> Head:
        """Where HEAD is now."""
        branch = self.run("symbolic-ref", "-q", "HEAD", check=False).decode().strip() or None
        commit = self.run("rev-parse", "-q", "--verify", "HEAD^{commit}", check=False).decode().strip() or None
        return Head(commit, branch)

    def tags(self) -> list[Tag]:
        """Every tag that leads to a commit, in one process."""
        names = "refname objectname objecttype *objectname *objecttype creatordate:unix authorname taggername"
        fields = "%00".join(f"%({name})" for name in names.split())
        tags = []
        for line in self.run("for-each-ref", f"--format={fields}", "refs/tags").split(b"\n"):
            if not line:
                continue
            ref, oid, kind, peeled, peeled_kind, date, author, tagger = (
                part.decode("utf-8", "replace") for part in line.split(b"\0")
            )
            commit = {("commit", ""): oid, ("tag", "commit"): peeled}.get((kind, peeled_kind))
            if peeled_kind == "tag":
                commit = self.find_commit(ref)
            if commit:
                who = tagger or author
                tags.append(Tag(ref.removeprefix("refs/tags/"), oid, commit, int(date or 0), who, kind == "tag"))
        return tags

    def find_commit(self, ref: str) -> str | None:
        """The commit that a full ref name (`refs/...`) or object name leads to."""
        if not (ref.startswith("refs/") or ref == "HEAD" or _OID.fullmatch(ref)):
            raise ValueError(f"not a full ref name: {ref}")
        out = self.run("rev-parse", "-q", "--verify", "--end-of-options", f"{ref}^{{commit}}", check=False)
        return out.decode().strip() or None

    def marked_among(self, paths: Collection[str]) -> list[str]:
        """Those of `paths` that Git was told not to look at (skip-worktree, assume-unchanged) and that are there."""
        wanted = set(paths)
        specs = [f":(literal,top){path}" for path in wanted] if len(wanted) < 500 else []
        lines = self.run("ls-files", "-v", "-z", "--", *specs).split(b"\0") if wanted else []
        marked = (os.fsdecode(line[2:]) for line in lines if line[:1] == b"S" or line[:1].islower())
        return [path for path in marked if path in wanted and os.path.lexists(self.top / path)]

    def is_reachable(self, commit: str) -> bool:
        """Whether a branch, remote branch or tag leads to `commit`."""
        return bool(self.run("for-each-ref", "--count=1", "--contains", commit, "--format=%(refname)"))

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` has `older` in its history."""
        return self.succeeds("merge-base", "--is-ancestor", older, newer)

    def operation(self) -> tuple[str, str] | None:
        """A merge, rebase or the like in progress, and the command that ends it."""
        return next((found for name, found in _OPERATIONS.items() if (self.git_dir / name).exists()), None)

    def status(self, *, untracked: Iterable[str] = ()) -> list[StatusEntry]:
        """What differs from HEAD in the index and the working tree.

        With `untracked`, pathspecs, only files that they match are looked at, untracked ones too.
        """
        specs = tuple(untracked)
        files = f"--untracked-files={'all' if specs else 'no'}"
        command = ("--no-optional-locks", "status", "--porcelain=v1", "-z", "--no-renames", files, "--", *specs)
        fields = self.run(*command).split(b"\0")
        return [StatusEntry(os.fsdecode(field[3:]), field[:2].decode()) for field in fields if field]

    def tree_changes(self, old: str, new: str) -> list[TreeChange]:
        """The tracked paths that differ between two commits."""
        fields = self.run("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new).split(b"\0")
        changes = []
        for meta, path in zip(fields[::2], fields[1::2], strict=False):
            old_mode, new_mode, old_oid, new_oid, _ = meta.decode().lstrip(":").split(" ")
            changes.append(TreeChange(os.fsdecode(path), old_mode, old_oid, new_mode, new_oid))
        return changes

    def blob_of(self, path: str) -> str:
        """The blob that Git would store for the file `path` of the working tree, filters applied."""
        data = self.run("hash-object", "--stdin-paths", stdin=os.fsencode(path) + b"\n")
        return data.decode().strip()

    def has_content_of(self, path: str) -> bool:
        """Whether Git holds what the file `path` of the working tree holds now, so that it cannot be lost."""
        return (self.top / path).is_file() and self.succeeds("cat-file", "-e", self.blob_of(path))

    def store(self, data: bytes) -> str:
        """Put a text into Git's object store and return its name."""
        with faults.point("git.store"):
            return self.run("hash-object", "-w", "--stdin", stdin=data).decode().strip()

    def untracked_among(self, paths: Iterable[str]) -> list[str]:
        """Those of `paths` that Git shows as untracked: neither tracked nor ignored."""
        wanted = [path for path in paths if (self.top / path).exists() or (self.top / path).is_symlink()]
        if not wanted:
            return []
        out = self.run(
            "ls-files",
            "--others",
            "--exclude-standard",
            "--directory",
            "-z",
            "--",
            *(f":(literal,top){p}" for p in wanted),
        )
        found = {os.fsdecode(line).rstrip("/") for line in out.split(b"\0") if line}
        return [path for path in wanted if path in found or any(f.startswith(path + "/") for f in found)]

    def tracked_among(self, paths: Iterable[str]) -> list[str]:
        """The tracked files at or below `paths`."""
        wanted = [f":(literal,top){path}" for path in paths]
        if not wanted:
            return []
        return [os.fsdecode(p) for p in self.run("ls-files", "-z", "--", *wanted).split(b"\0") if p]

    def remotes(self) -> list[str]:
        """The names of the Git remotes."""
        return self.run("remote").decode().split()

    def is_valid_tag(self, name: str) -> bool:
        """Whether Git takes `name` as a tag."""
        return not name.startswith("-") and self.succeeds("check-ref-format", f"refs/tags/{name}")

    def tag_object(self, name: str) -> str:
        """The object that the tag `name` is."""
        return self.run("rev-parse", "--verify", "-q", f"refs/tags/{name}").decode().strip()

    def create_tag(self, name: str, commit: str, message: str) -> str:
        """Make an annotated tag (signed, where Git is configured so) and return its object."""
        repo = self._porcelain()
        with faults.point("git.create-tag"), _git_errors("tag"):
            repo.create_tag(name, ref=commit, message=message)
        return self.tag_object(name)

    def delete_tag(self, name: str, oid: str) -> None:
        """Remove the tag `name` if it still is `oid`."""
        with faults.point("git.delete-tag"):
            self.run("update-ref", "-d", f"refs/tags/{name}", oid)

    def push_release(self, remote: str, tag: str, branch: str | None) -> None:
        """Push a new tag, and the branch that it is on, in one atomic step.

        The remote must not have the tag, or have this very one. Raises `Refused` when it has another, or
        when the branch there is ahead.
        """
        ref = f"refs/tags/{tag}"
        refs = [f"{ref}:{ref}", *([f"{branch}:{branch}"] if branch else [])]
        there = self.has_remote_tag(remote, tag)
        if pushed := refs[1:] if there else refs:
            self._push(remote, pushed, None if there else ref)

    def has_remote_tag(self, remote: str, tag: str) -> bool:
        """Whether a remote has this very tag; raises `Refused` when it has another of that name."""
        ref = f"refs/tags/{tag}"
        there = self.run("ls-remote", "--end-of-options", remote, ref).split()
        here = self.run("rev-parse", "--verify", "-q", ref, check=False).strip()
        if there and there[0] != here:
            raise Refused(f"{tag} exists already on {remote}", hint=f"git fetch {remote} tag {quoted(tag)}")
        return bool(there)

    def _push(self, remote: str, refs: list[str], absent: str | None) -> None:
        lease = {"force_with_lease": f"{absent}:"} if absent else {}
        repo = self._porcelain()
        with faults.point("git.push"), _git_errors("push"):
            results = repo.remote(remote).push(refspec=refs, atomic=True, **lease)
            failed = [info for info in results if info.flags & info.ERROR]
            if results.error is None and not failed:
                return
            said = " ".join(str(info.summary).strip() for info in failed) or str(results.error)
        if "stale info" in said or "already exists" in said:
            raise Refused(f"{absent or refs[0]} exists already on {remote}", hint=f"git fetch --tags {remote}")
        if "fetch first" in said or "non-fast-forward" in said:
            raise Refused(
                f"{remote} has newer commits on that branch", hint=f"git pull --rebase {remote} {_branch_of(refs)}"
            )
        raise Unavailable(f"git push to {remote} failed: {_last_line(without_credentials(said))}", hint="try again")

    @contextlib.contextmanager
    def objects(self) -> Iterator[ObjectReader]:
        """Read many objects through one process."""
        reader = ObjectReader(_popen(("-C", str(self.top), "cat-file", "--batch")))
        try:
            yield reader
        finally:
            reader.close()

    def _porcelain(self) -> Any:
        """The repository through GitPython, with the same scrubbed environment and options."""
        import git

        repo = git.Repo(self.top)
        scrubbed = {name: None for name in os.environ if _is_scrubbed(name)}
        repo.git.update_environment(**scrubbed, LC_ALL="C", GIT_TERMINAL_PROMPT="0")
        repo.git.set_persistent_git_options(c=[option for option in _SAFE if option != "-c"])
        return repo


def open_git(path: Path) -> Git:
    """Return the repository that holds the folder `path`; raises `NotFound` when none does."""
    if not path.is_dir():
        raise NotFound(f"no such folder: {path}", hint="modelctl -C FOLDER ...")
    query = ("--is-bare-repository", "--is-shallow-repository", "--absolute-git-dir", "--git-common-dir")
    result = _spawn(("-C", str(path), "rev-parse", *query))
    if result.returncode != 0:
        message = result.stderr.decode("utf-8", "replace")
        if "dubious ownership" in message:
            raise Refused(
                f"git does not trust the owner of {path.resolve()}",
                hint=f"git config --global --add safe.directory {quoted(str(path.resolve()))}",
            )
        raise NotFound(f"{path.resolve()} is in no Git repository", hint="cd into one, or: modelctl init")
    bare, shallow, git_dir, common = result.stdout.decode().splitlines()
    common_dir = Path(os.path.normpath(path / common))
    is_bare = bare == "true"
    top = Path(git_dir)
    if not is_bare:
        found = _spawn(("-C", str(path), "rev-parse", "--show-toplevel")).stdout.decode().rstrip("\n")
        if not found:
            raise Refused(f"{path} is inside a .git folder", hint="cd to the working tree")
        top = Path(found)
    return Git(top, Path(git_dir), common_dir.resolve(), is_bare, shallow == "true")


def git_failed(command: str, stderr: bytes) -> Unavailable | Locked:
    """The error for a Git command that failed, with its last word and no credentials."""
    text = without_credentials(stderr.decode("utf-8", "replace").strip())
    lines = [line for line in text.splitlines() if not line.startswith(("hint:", "warning:"))]
    if lock := _LOCK.search(text):
        name = lock["path"]
        return Locked(
            f"another git command is at work, or one was killed: {name} exists",
            hint=f"rm {quoted(name)}   # once no git command runs here",
        )
    first = next(
        (line for line in lines if line.startswith(("fatal:", "error:"))),
        lines[-1] if lines else "no message",
    )
    return Unavailable(f"git {command} failed: {first.removeprefix('fatal: ').removeprefix('error: ')}", detail=text)


@contextlib.contextmanager
def _git_errors(verb: str) -> Iterator[None]:
    """Turn GitPython's errors into ours."""
    import git

    try:
        yield
    except git.GitCommandError as exc:
        raise git_failed(verb, str(exc.stderr).encode()) from exc
    except (git.GitError, ValueError) as exc:
        raise Unavailable(f"git {verb} failed: {exc}") from exc


def _branch_of(refs: list[str]) -> str:
    """The branch among the refs of a push, as a user writes it."""
    branch = next((ref.partition(":")[0] for ref in refs if ref.startswith("refs/heads/")), "HEAD")
    return quoted(branch.removeprefix("refs/heads/"))


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "no message"


def without_credentials(text: str) -> str:
    """Return `text` with the user and password of every URL in it removed."""
    return _CREDENTIALS.sub("***@", text)


def git_environment() -> dict[str, str]:
    """The environment for Git: no `GIT_*` that redirects it, and messages in English."""
    kept = {name: value for name, value in os.environ.items() if not _is_scrubbed(name)}
    return kept | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": os.environ.get("GIT_TERMINAL_PROMPT", "0")}


def _is_scrubbed(name: str) -> bool:
    return name.startswith("GIT_") and name not in _KEPT and not name.startswith(_KEPT_PREFIXES)


def _spawn(
    args: tuple[str, ...], *, stdin: bytes | None = None, env: Mapping[str, str] | None = None, held: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        with faults.point(f"git.{_verb(args)}"):
            return subprocess.run(
                ("git", *_SAFE, *args),
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                env=git_environment() | dict(env or {}),
                # A Ctrl-C is ours to answer; only a command that may ask for a password keeps the terminal.
                process_group=None if _verb(args) in _MAY_ASK else 0,
                pass_fds=() if held is None else (held,),
                check=False,
            )
    except FileNotFoundError as exc:
        raise Unavailable("git is not installed", hint="install git 2.30 or later") from exc


def _popen(args: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ("git", *_SAFE, *args), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=git_environment()
    )


def _verb(args: tuple[str, ...]) -> str:
    rest = args[2:] if args[:1] == ("-C",) else args
    return next((arg for arg in rest if not arg.startswith("-")), "git")


def init_git(folder: Path) -> Path:
    """Make `folder` a Git repository and return its top."""
    result = _spawn(("-C", str(folder), "init", "--quiet"))
    if result.returncode != 0:
        raise git_failed("init", result.stderr)
    return folder.resolve()
