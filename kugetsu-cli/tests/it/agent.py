"""A command agent that does what the messages of `kugetsu backend check --kind agent` ask for."""

import json
import os
import sys
import time
import uuid

meeting = os.environ["KUGETSU_CHECK"]
session = os.environ["KUGETSU_AGENT_SESSION"]
message = sys.stdin.buffer.read().decode()


def write_down(path, text):
    unseen = os.path.join(meeting, str(uuid.uuid4()))
    with open(unseen, "w", newline="") as file:
        file.write(text)
    os.rename(unseen, path)


def tell(kind, **data):
    print(json.dumps({"type": kind, "data": data}), flush=True)


def fail(reason, **more):
    tell("finished", how="failed", failure={"reason": reason, **more})
    sys.exit(0)


write_down(os.path.join(meeting, "heard", f"{time.time_ns()}-{os.getpid()}"), message)
memory = os.path.join(meeting, "memory-" + session)
earlier = open(memory).read() if os.path.exists(memory) else ""
with open(memory, "a") as file:
    file.write(message[:200] + "\n")

# Whoever waits for an agent that says nothing for long knows by this that it has begun.
tell("session_started", session=session)
script = message[len("MODEL: "):] if message.startswith("MODEL: ") else "say noted"
for step in script.split(" ;; "):
    deed, _, rest = step.partition(" ")
    if deed == "say" and rest:
        tell("message", text=rest)
    elif deed == "write":
        name, _, text = rest.partition(" ")
        tell("tool_started", call="1", tool="write", title=name)
        with open(name, "w") as file:
            file.write(text + "\n")
        tell("tool_ended", call="1", tool="write", ok=True, summary="written")
    elif deed == "history":
        tell("message", text=earlier or "nothing")
    elif deed == "ask":
        tell("asked", question="1", text=f"May I read {rest}?", refused=True)
    elif step.startswith("http 401"):
        fail("the key is refused", retry={"retry": "never"})
    elif step.startswith("http 429"):
        fail("too many requests", retry={"retry": "later"}, cause={"cause": "limit", "provider": "fake"})
    elif deed == "hang":
        time.sleep(100000)
    elif deed == "gate":
        while not os.path.exists(os.path.join(meeting, "gates", rest)):
            time.sleep(0.02)
tell("finished", how="done")
