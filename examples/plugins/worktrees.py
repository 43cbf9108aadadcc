#!/usr/bin/env python3
"""A worktree provider for kugetsu in Python: `kugetsu.plugin/1` with the plain `git` command.

It needs nothing but Python 3.8 and git 2.30. `kugetsu backend check -- ./worktrees.py` shows that it
keeps every promise of a worktree provider. docs/plugins.md explains the protocol.

What it keeps, in the directory that kugetsu gives it:

    lock                           held by whichever process of the plugin is at work
    repos/<host>/<owner>/<name>.git  a bare clone of each repository
    worktrees/<stem>               the worktrees
    records/<stem>.json            what is known of each: written before it is made, removed last

It is short where kugetsu's own provider is careful: settings that an agent has left in a clone may
have git run programs.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys


class Refusal(Exception):
    """What was asked is not done, and kugetsu is told why."""

    def __init__(self, message, kind=None, **data):
        super().__init__(message)
        self.data = {"kind": kind, **data}


# git ---------------------------------------------------------------------------------------------

# Nobody is there to answer a question, and no other repository is meant.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
ENVIRONMENT.update(GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
# Nothing of ours goes on in the background, and no hook runs.
QUIETLY = ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]


def run(directory, *arguments):
    return subprocess.run(
        ["git", "-C", directory, *QUIETLY, *arguments],
        env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace",
    )


def git(directory, *arguments):
    """What git prints, or an error that says what it could not do."""
    done = run(directory, *arguments)
    if done.returncode != 0:
        raise Refusal(f"git {arguments[0]}: {done.stderr.strip() or done.returncode}", retry="later")
    return done.stdout.strip()


def found(directory, *arguments):
    """What git prints, or None if it fails."""
    done = run(directory, *arguments)
    return done.stdout.strip() if done.returncode == 0 else None


# The places --------------------------------------------------------------------------------------

class Site:
    """Where everything of one issue is."""

    def __init__(self, directory, issue):
        repository = issue["repository"]
        self.issue, self.branch = issue["ref"], issue["branch"]
        self.tree = os.path.join(directory, "worktrees", issue["stem"])
        self.record = os.path.join(directory, "records", issue["stem"] + ".json")
        # Only a repository's own directory ends in `.git`, so that no other one is in it.
        self.clone = os.path.join(directory, "repos", repository["host"], repository["owner"], repository["name"] + ".git")

    def known(self):
        """The record of the worktree, or None."""
        try:
            with open(self.record, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def note(self, base, ready):
        """Writes the record so that it is there whole or not at all."""
        record = {"issue": self.issue, "branch": self.branch, "tree": self.tree, "clone": self.clone, "base": base, "ready": ready}
        unseen = self.record + ".new"
        with open(unseen, "w", encoding="utf-8") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unseen, self.record)

    def is_there(self):
        """Whether a worktree stands where the worktree belongs."""
        return os.path.isfile(os.path.join(self.tree, ".git"))

    def is_in_the_way(self, record):
        """Whether something stands there that is none of ours."""
        return os.path.lexists(self.tree) and not self.is_there() and (record is None or record["ready"])

    def told(self, created=False):
        branch = found(self.tree, "symbolic-ref", "--short", "HEAD")
        return {"issue": self.issue, "path": self.tree, "branch": branch or "HEAD", "repository": self.clone, "created": created}

    def has_branch(self):
        return found(self.clone, "rev-parse", "--verify", "--quiet", f"refs/heads/{self.branch}") is not None

    def dirty(self):
        """How many files are changed, added or deleted, and not committed."""
        if not self.is_there():
            return 0
        listed = git(self.tree, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
        return len([name for name in listed.split("\0") if name])

    def unpushed(self):
        """How many commits of the worktree, and of its branch, are on no branch of the remote."""
        heads = [f"refs/heads/{self.branch}"] if self.has_branch() else []
        if self.is_there():
            heads += [head for head in [found(self.tree, "rev-parse", "--verify", "--quiet", "HEAD")] if head]
        if not heads:
            return 0
        return int(git(self.clone, "rev-list", "--count", *heads, "--not", "--remotes=origin"))

    def forget_tree(self):
        """Removes the worktree's directory and git's own record of it."""
        if os.path.lexists(self.tree):
            found(self.clone, "worktree", "remove", "--force", "--force", self.tree)
            shutil.rmtree(self.tree, ignore_errors=True)
        git(self.clone, "worktree", "prune")


# What the plugin can do ---------------------------------------------------------------------------

class Worktrees:
    def __init__(self, directory):
        self.directory = os.path.realpath(directory)
        for place in ("repos", "worktrees", "records"):
            os.makedirs(os.path.join(self.directory, place), exist_ok=True)
        # Other processes of this plugin may work in the same directory: one at a time.
        self.lock = open(os.path.join(self.directory, "lock"), "a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lock.close()

    def prepare(self, issue, source, base=None, **_):
        site = Site(self.directory, issue)
        record = site.known()
        if site.is_in_the_way(record) or (record is None and site.is_there()):
            raise Refusal("it is no worktree of mine; move it away", "in_the_way", path=site.tree)
        if record and record["ready"] and site.is_there():
            return {"worktree": site.told()}
        if record and site.has_branch():
            # Its directory is gone, or was not finished; the work is in the branch.
            start = base = record["base"]
        else:
            base, start = self.start(site, source, base)
        site.note(base, ready=False)
        site.forget_tree()
        if not site.has_branch():
            git(site.clone, "branch", "--no-track", site.branch, start)
        git(site.clone, "worktree", "add", "--quiet", site.tree, site.branch)
        site.note(base, ready=True)
        return {"worktree": site.told(created=True)}

    def start(self, site, source, base):
        """The branch and the commit that a new worktree starts from."""
        self.fetch(site, source)
        if base is None:
            head = found(site.clone, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
            if head is None:
                raise Refusal("the remote has no default branch", "no_base_branch")
            base = head[len("origin/"):]
        name = f"refs/remotes/origin/{base}"
        commit = None
        if run(site.clone, "check-ref-format", name).returncode == 0:
            commit = found(site.clone, "rev-parse", "--verify", "--quiet", name + "^{commit}")
        if commit is None:
            raise Refusal(f"there is no branch {base}", "no_base_branch")
        # Work that was pushed from elsewhere goes on.
        pushed = found(site.clone, "rev-parse", "--verify", "--quiet", f"refs/remotes/origin/{site.branch}")
        return base, pushed or commit

    def fetch(self, site, source):
        """Brings the clone up to date. One that cannot be had at all is not left behind."""
        is_new = not os.path.isdir(site.clone)
        try:
            if is_new:
                os.makedirs(site.clone)
                git(site.clone, "init", "--quiet", "--bare", "--template=")
                git(site.clone, "remote", "add", "origin", "--", source)
            git(site.clone, "remote", "set-url", "origin", "--", source)
            git(site.clone, "fetch", "--quiet", "--prune", "origin")
            found(site.clone, "remote", "set-head", "origin", "--auto")
        except Refusal as refusal:
            if is_new:
                shutil.rmtree(site.clone, ignore_errors=True)
            raise Refusal(str(refusal), "no_repository") from None

    def inspect(self, issue, **_):
        site = Site(self.directory, issue)
        record = site.known()
        if record is None or not record["ready"] or not site.is_there():
            return {"status": None}
        head = found(site.tree, "rev-parse", "--verify", "--quiet", "HEAD")
        ahead = 0
        if head is not None:
            against = f"refs/remotes/origin/{record['base']}"
            ahead = int(found(site.clone, "rev-list", "--count", head, "--not", against) or 0)
        return {"status": {
            "worktree": site.told(), "head": head, "base": record["base"],
            "dirty": site.dirty(), "ahead": ahead, "unpushed": site.unpushed(),
        }}

    def remove(self, issue, unsaved, **_):
        site = Site(self.directory, issue)
        record = site.known()
        if record is None:
            return {}
        if site.is_in_the_way(record):
            raise Refusal("it is no worktree of mine; move it away", "in_the_way", path=site.tree)
        if unsaved == "keep" and record["ready"]:
            dirty, unpushed = site.dirty(), site.unpushed()
            if dirty or unpushed:
                raise Refusal("it has unsaved work", "unsaved_work", path=site.tree, dirty=dirty, unpushed=unpushed)
        # From here on it is a half, which the next `prepare`, `remove` or `recover` finishes.
        site.note(record["base"], ready=False)
        site.forget_tree()
        if site.has_branch() and (unsaved == "discard" or not site.unpushed()):
            git(site.clone, "branch", "--quiet", "-D", site.branch)
        os.remove(site.record)
        return {}

    def records(self):
        directory = os.path.join(self.directory, "records")
        for name in sorted(os.listdir(directory)):
            if name.endswith(".json"):
                with open(os.path.join(directory, name), encoding="utf-8") as file:
                    yield json.load(file)

    def list(self, **_):
        return {"worktrees": [
            {"issue": known["issue"], "path": known["tree"], "branch": known["branch"], "repository": known["clone"]}
            for known in self.records() if known["ready"]
        ]}


# The protocol ------------------------------------------------------------------------------------

def answer(state, method, params):
    """The result of a request."""
    if method == "initialize":
        state["directory"] = params["directory"]
        return {
            "protocol": "kugetsu.plugin", "version": 1,
            "plugin": {"name": "worktrees.py", "version": "1"},
            "kinds": {"worktrees": {}},
        }
    if method == "shutdown":
        return {}
    kind, _, verb = method.partition("/")
    if kind == "worktrees" and verb in ("prepare", "inspect", "remove", "list"):
        with Worktrees(state["directory"]) as worktrees:
            return getattr(worktrees, verb)(**params)
    return None


def main():
    state = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue  # a notification, such as `cancel`
        reply = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            result = answer(state, request["method"], request.get("params", {}))
            if result is None:
                reply["error"] = {"code": -32601, "message": f"there is no method {request['method']}"}
            else:
                reply["result"] = result
        except Refusal as refusal:
            reply["error"] = {"code": -32000, "message": str(refusal), "data": refusal.data}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
