#!/usr/bin/env node
// opencode as a command agent: an adapter for `opencode run --format json`, in Node without packages.
//
// It reads the message on standard input, which goes on to opencode as it is, and writes agent events
// as lines of JSON. Its own arguments are passed on, so that `--model provider/model` may be one.
// Configure it with JSON output and the ability to resume. `KUGETSU_OPENCODE` names another opencode.
//
// kugetsu's own opencode runner can do more: it forks sessions, and it keeps a PM to reading. This is
// here to show how a program that was not made for kugetsu becomes an agent of it.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const { env } = process;
// After its last word opencode has so long to exit by itself.
const LINGER = 15_000;
// What ends a step in the middle of a turn.
const GOES_ON = "tool-calls";

if (env.KUGETSU_AGENT_ROLE === "pm") {
  console.error("this adapter does not keep a PM to reading");
  process.exit(77);
}

const resumed = env.KUGETSU_CONVERSATION === "resume" ? env.KUGETSU_AGENT_SESSION : undefined;
const args = ["run", "--format", "json", "--auto", "--dir", process.cwd()];
if (resumed) args.push("--session", resumed);
else if (env.KUGETSU_AGENT_TITLE) args.push("--title", env.KUGETSU_AGENT_TITLE);

const opencode = spawn(env.KUGETSU_OPENCODE || "opencode", [...args, ...process.argv.slice(2)], {
  stdio: ["inherit", "pipe", "pipe"],
  env: {
    // Nobody is there to be asked, and nothing outside of the worktree is an agent's business.
    OPENCODE_PERMISSION: JSON.stringify({
      question: "deny", plan_enter: "deny", plan_exit: "deny", doom_loop: "deny", external_directory: "deny",
    }),
    // A repository's own settings may start programs before anybody has said a word.
    OPENCODE_DISABLE_PROJECT_CONFIG: "1",
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    ...env,
    PWD: process.cwd(),
  },
});

const tell = (type, data) => process.stdout.write(JSON.stringify({ type, data }) + "\n");
const line = (text, most = 160) => String(text ?? "").trim().split("\n")[0].slice(0, most);
const count = (number) => Math.max(0, Math.round(Number(number) || 0));

let session, error, reason, refused, patience;
let lastWords = "";

function hear(told) {
  if (told.sessionID && !session) {
    session = told.sessionID;
    tell("session_started", { session });
  }
  const part = told.part ?? {};
  switch (told.type) {
    case "step_start":
      reason = undefined;
      break;
    case "text":
      if (part.text) tell("message", { text: part.text });
      break;
    case "reasoning":
      if (part.text) tell("thought", { text: part.text });
      break;
    case "tool_use":
      hearTool(part);
      break;
    case "step_finish": {
      const { input, output, reasoning, cache } = part.tokens ?? {};
      tell("usage", {
        input: count(input), output: count(output), reasoning: count(reasoning),
        cache_read: count(cache?.read), cache_write: count(cache?.write),
        cost_micros: count((part.cost ?? 0) * 1e6),
      });
      reason = part.reason;
      break;
    }
    case "error":
      error = told.error ?? {};
      break;
  }
  clearTimeout(patience);
  if (error || (reason && reason !== GOES_ON)) patience = setTimeout(() => opencode.kill(), LINGER);
}

function hearTool({ callID: call, tool, state = {} }) {
  const { input = {}, output = "", metadata = {} } = state;
  const title = line(state.title || input.description || input.command || input.filePath);
  const ok = state.status === "completed" && (metadata.exit ?? 0) === 0;
  const said = state.status === "error" ? state.error : output;
  if (String(state.error ?? "").includes("The user rejected permission")) refused = `${tool} (${title})`;
  const lines = String(said ?? "").split("\n").map((one) => one.trim()).filter(Boolean);
  tell("tool_started", { call, tool, title });
  tell("tool_ended", { call, tool, ok, summary: lines.slice(0, 2).join(" · ").slice(0, 160) });
}

// How the turn ended, by opencode's own last word and never by its status.
function finish(status) {
  const failed = (reason, retry, more) => ({ how: "failed", failure: { reason, retry, ...more } });
  const never = { retry: "never" };
  const later = { retry: "later" };
  if (refused) return failed(`the agent asked for what nobody may answer: ${refused}`, never);
  if (error) {
    const { message, statusCode, responseHeaders = {} } = error.data ?? {};
    const words = `the model failed: ${line(message, 300) || error.name} (${statusCode ?? error.name})`;
    if (statusCode === 429) {
      const wait = Number(responseHeaders["retry-after"]) || 60;
      const cause = { cause: "limit", provider: "of opencode's model" };
      return failed(words, { retry: "after", millis: wait * 1000 }, { cause });
    }
    const passes = !statusCode || statusCode >= 500 || [408, 409, 425].includes(statusCode);
    return failed(words, passes ? later : never);
  }
  if (reason === "stop" || reason === "end_turn") return { how: "done" };
  if (reason) return failed(`the turn ended in the middle (${reason})`, later);
  return failed(`opencode ended without a last word (${status}): ${lastWords}`, later);
}

createInterface({ input: opencode.stdout }).on("line", (text) => {
  try {
    hear(JSON.parse(text));
  } catch (fault) {
    // What is no JSON is not said to programs.
    if (!(fault instanceof SyntaxError)) throw fault;
  }
});
createInterface({ input: opencode.stderr }).on("line", (text) => {
  if (text.trim()) lastWords = line(text, 300);
  console.error(text);
});
opencode.on("error", (fault) => {
  console.error(`opencode cannot be started: ${fault.message}`);
  process.exit(127);
});
opencode.on("close", (code, signal) => {
  clearTimeout(patience);
  // It says so to people alone, and there is a way to say so to kugetsu.
  if (resumed && !session && lastWords.includes("Session not found")) process.exit(66);
  tell("finished", finish(signal ?? `status ${code}`));
});
