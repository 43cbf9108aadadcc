"""A plugin that does what the first argument says as soon as it is asked for its worktrees."""

import json
import os
import subprocess
import sys
import time

deed = sys.argv[1]
waiting = []


def say(message):
    sys.stdout.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
    sys.stdout.flush()


def answer(id, result):
    say({"jsonrpc": "2.0", "id": id, "result": result})


def refuse(id, error):
    say({"jsonrpc": "2.0", "id": id, "error": error})


def about(**changes):
    return {
        "protocol": "kugetsu.plugin", "version": 1, "plugin": {"name": "fake", "version": "1.2", "motto": "x"},
        "kinds": {"worktrees": {"recover": True, "fly": True}, "tracker": {"forge": True}, "oracle": {}}, "more": [1],
        **changes,
    }


def note(name, text):
    with open(name + ".new", "w") as file:
        file.write(text)
    os.rename(name + ".new", name)


def worktree(issue, number=1):
    return {"issue": issue, "path": f"/w/{number}", "branch": "b", "repository": "/r", "more": {}}


def initialize(id):
    note("pid", str(os.getpid()))
    with open("starts", "a") as file:
        file.write("x")
    if deed == "another version":
        answer(id, about(version=2, kinds=7))
    elif deed == "another protocol":
        answer(id, about(protocol="kugetsu.plugout"))
    elif deed == "no version":
        answer(id, {"plugin": {"name": "fake"}})
    elif deed == "another kind":
        answer(id, about(kinds={"oracle": {}}))
    elif deed == "refuses to begin":
        refuse(id, {"code": 1, "message": "I would rather not"})
    elif deed == "dies at the beginning":
        sys.exit("no libfoo")
    elif deed == "chats first":
        say({"jsonrpc": "2.0", "method": "log", "params": {"text": "hello"}})
        say("")
        answer(id, about())
    else:
        answer(id, about())


def worktrees(id):
    if deed == "crashes":
        sys.stderr.write("one\n\x1b[31mtwo\x07\nboom\n")
        sys.exit(3)
    elif deed == "crashes once" and open("starts").read() == "x":
        os._exit(1)
    elif deed == "has children":
        # One that has left its session, and ignores whatever can be ignored.
        script = "trap '' TERM HUP INT; echo $$ >child.new; mv child.new child; while :; do sleep 1000; done"
        subprocess.Popen(["setsid", "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists("child"):
            time.sleep(0.01)
        answer(id, {"worktrees": []})
    elif deed == "is killed":
        os.kill(os.getpid(), 9)
    elif deed == "closes its output":
        os.close(1)
        sys.stdin.read()
        os._exit(4)
    elif deed == "says hello":
        sys.stderr.write("I am so sorry\n")
        say("hello \x1b]0;title\x07 " + "x" * 1000)
    elif deed == "nests":
        say("[" * 100000)
    elif deed == "answers with a list":
        say([])
    elif deed == "forgets the version":
        say({"id": id, "result": {}})
    elif deed == "answers with neither":
        say({"jsonrpc": "2.0", "id": id})
    elif deed == "answers with both":
        say({"jsonrpc": "2.0", "id": id, "result": {}, "error": {"code": 1, "message": "x"}})
    elif deed == "writes without an end":
        while True:
            sys.stdout.write("x" * 65536)
    elif deed == "is no text":
        sys.stdout.buffer.write(b"\xff\xfe\x00\n")
        sys.stdout.flush()
    elif deed == "answers another":
        answer(id + 100, {"worktrees": []})
    elif deed == "answers a text":
        answer(str(id), {"worktrees": []})
    elif deed == "answers nobody":
        refuse(None, {"code": -32700, "message": "what?"})
    elif deed == "answers twice":
        answer(id, {"worktrees": []})
        answer(id, {"worktrees": []})
    elif deed == "answers rubbish":
        answer(id, {"worktrees": 7})
    elif deed == "is no good":
        refuse(id, "no good")
    elif deed == "is silent":
        sys.stderr.write("thinking\n")
        sys.stderr.flush()
        note("asked", str(id))
    elif deed == "asks back":
        say({"jsonrpc": "2.0", "id": "q", "method": "how/are you", "params": {}})
        said = json.loads(sys.stdin.readline())
        answer(id, {"worktrees": [worktree(f"a.b/c/d#{-said['error']['code']}")]})
    elif deed == "answers backwards":
        waiting.append(id)
        if len(waiting) == 8:
            for number, one in reversed(list(enumerate(waiting))):
                answer(one, {"worktrees": [worktree(f"a.b/c/d#{one}", number)]})
    elif deed.startswith("lists "):
        answer(id, {"worktrees": json.loads(deed[6:])})
    elif deed.startswith("refuses "):
        refuse(id, json.loads(deed[8:]))
    else:
        answer(id, {"worktrees": [worktree("a.b/c/d#2", 2), worktree("a.b/c/d#1")]})


for line in sys.stdin:
    request = json.loads(line)
    method = request["method"]
    if method == "cancel":
        note("cancelled", str(request["params"]["id"]))
        if deed == "is silent":
            answer(request["params"]["id"], {"worktrees": []})
            deed = "is well"
    elif method == "initialize":
        initialize(request["id"])
    elif method == "shutdown" and deed != "cannot say goodbye":
        note("goodbye", "x")
        answer(request["id"], {})
    elif method in ("worktrees/list", "worktrees/prepare", "worktrees/inspect", "tracker/fetch", "tracker/comment", "forge/propose", "forge/pull_request"):
        if deed.startswith("answers to all "):
            answer(request["id"], json.loads(deed[15:]))
        else:
            worktrees(request["id"])
    elif deed != "cannot say goodbye":
        refuse(request["id"], {"code": -32601, "message": "no such method"})
