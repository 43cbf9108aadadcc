//! The report: for somebody who has never seen one.

use std::fmt::Write as _;

use super::results::Results;
use super::row::{Row, number};
use super::verdict::{By, Memory, whole};

/// What the charts are called, as the report refers to them.
pub(super) struct Charts {
    pub(super) memory: String,
    pub(super) response: String,
}

pub(super) fn report(results: &Results, charts: Option<&Charts>) -> String {
    let mut text = String::from("# How many agents this machine carries\n\n");
    text += &answer(results);
    text += &measured(results);
    text += &rows(results);
    if let Some(Charts { memory, response }) = charts {
        let _ = write!(
            text,
            "## Charts\n\n![Memory over agents]({memory})\n\n![Response time over agents]({response})\n\n"
        );
    }
    text += &costs(results);
    text += &notes(results);
    text + GLOSSARY
}

/// The first thing that is read: the number, and why it is this one.
fn answer(results: &Results) -> String {
    let verdict = &results.verdict;
    let mut text = String::new();
    match verdict.recommended_agents {
        Some(agents) => {
            let _ =
                writeln!(text, "**Recommended: {} at once.** {}.\n", agents_(agents), why(results));
            for setting in &results.settings {
                let _ = writeln!(text, "    {} = {}", setting.key, setting.value);
            }
            text += "\nThat is for `config.toml` in kugetsu's directory; `kugetsu capacity \
                     --apply=<the results file>` writes it there.\n\n";
        }
        None => {
            let _ = writeln!(text, "**Nothing is recommended:** {}.\n", verdict.reason);
        }
    }
    if results.interrupted {
        text += "This run was stopped before its end. What stands here is what it had measured until \
                 then; more agents may be possible.\n\n";
    }
    text
}

/// The reason as a sentence of its own.
fn why(results: &Results) -> String {
    let reason = &results.verdict.reason;
    let mut letters = reason.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("Why not more: {}{}", first, letters.as_str()))
}

fn measured(results: &Results) -> String {
    let machine = &results.machine;
    let limit = whole(results.memory_limit_mb);
    let (engine, what) = match results.engine {
        "server" => ("one `opencode serve` for all agents", "agent = \"opencode\""),
        _ => ("an `opencode run` for each agent", "agent = \"opencode-run\""),
    };
    let provider = match results.provider {
        "scripted" => {
            "a scripted model on this machine, which answers within a second, so that agents keep the \
             processors busier than with a real one"
        }
        _ => "the provider that opencode is set up with",
    };
    let whose = if results.memory_limit_given {
        "as it was asked for"
    } else {
        "three quarters of what the machine has; `--memory-limit` says otherwise"
    };
    format!(
        "## What was measured\n\n\
         | | |\n|---|---|\n\
         | when | {} |\n\
         | machine | {}, {} MB of memory, {} |\n\
         | programs | kugetsu {}, {} |\n\
         | agents run on | {engine} (`{what}`) |\n\
         | model | {provider} |\n\
         | an agent may take | {} seconds |\n\
         | all agents together may use | {limit} MB ({whose}) |\n\n",
        results.started,
        processors(machine.processors),
        whole(machine.memory_mb),
        machine.system,
        results.kugetsu,
        results.agent,
        results.timeout_seconds,
    )
}

fn processors(count: usize) -> String {
    if count == 1 { "1 processor".to_owned() } else { format!("{count} processors") }
}

fn rows(results: &Results) -> String {
    if results.rows.is_empty() {
        return "## Results\n\nNo row was finished.\n\n".to_owned();
    }
    let mut text = String::from(
        "## Results\n\n\
         Each row is a run of its own: so many agents start at the same moment, each on an issue of its \
         own, in a worktree and a session of its own.\n\n\
         | agents | succeeded | failed | timed out | response, mean (s) | fastest – slowest (s) | all done \
         after (s) | memory, peak (MB) | of the machine | memory for each (MB) | processors, mean | peak | \
         processes |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in &results.rows {
        let deviation = match row.stddev_response_time {
            Some(deviation) if row.agent_count > 1 => format!(" ± {deviation:.2}"),
            _ => String::new(),
        };
        let range = match (row.min_response_time, row.max_response_time) {
            (Some(least), Some(most)) => format!("{least:.2} – {most:.2}"),
            _ => "–".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {}{deviation} | {range} | {:.2} | {:.2} | {:.2} % | {:.2} | {:.2} % | \
             {:.2} % | {} |",
            row.agent_count,
            row.success_count,
            row.failed_count,
            row.timeout_count,
            row.avg_response_time.map_or("–".to_owned(), |mean| format!("{mean:.2}")),
            row.total_duration,
            row.peak_memory_mb,
            row.peak_memory_percent,
            row.memory_per_agent_mb,
            row.avg_cpu_percent,
            row.peak_cpu_percent,
            row.peak_opencode_procs,
        );
    }
    text.push('\n');
    text
}

/// What an agent costs, in words.
fn costs(results: &Results) -> String {
    let Some(memory) = results.verdict.memory else { return String::new() };
    let mut text = String::from("## What an agent costs\n\n");
    let Memory { first_agent_mb: first, further_agent_mb: further, .. } = memory;
    let limit = whole(results.memory_limit_mb);
    match memory.by {
        By::Line => {
            let _ = write!(
                text,
                "**The first agent costs {} MB, each further one {further:.1} MB.** All agents share one \
                 server, which the first one pays for. This is the line that lies closest to the rows \
                 in which all agents succeeded.",
                whole(first),
            );
            if let Some(idle) = idle(&results.rows) {
                let _ = write!(
                    text,
                    " The server alone, before any agent, is {} MB of it.",
                    whole(idle)
                );
            }
            text += "\n\nThe column “memory for each” is the memory that was added, divided by the agents. \
                     It shrinks with every agent that shares the server, so its mean says nothing about \
                     how many fit; ";
            let _ = match memory.capacity {
                Some(fit) => write!(
                    text,
                    "by *first + further × (n − 1)*, {fit} would fit into {limit} MB, as far as memory goes"
                ),
                None => write!(
                    text,
                    "more agents took no more memory, so {limit} MB hold any number of them"
                ),
            };
        }
        By::Mean => {
            let _ = write!(
                text,
                "**Each agent costs {} MB**: the mean of the column “memory for each” over the rows in \
                 which all agents succeeded. ",
                whole(further)
            );
            if results.engine == "server" {
                text += "All agents share one server, and a single count does not tell what a further agent \
                         costs, so that this is far on the safe side. Measure several counts. ";
            }
            let fit = memory.capacity.unwrap_or_default();
            let _ = write!(
                text,
                "By *limit / memory for each*, rounded down, {fit} would fit into {limit} MB, as far as \
                 memory goes"
            );
        }
    }
    let most = results.rows.last().map_or(0, |row| row.agent_count);
    if memory.capacity.is_none_or(|fit| fit > most) {
        let _ = write!(
            text,
            ". No more than {most} were tried, so no more are recommended: nobody has seen what else comes \
             to its end with more"
        );
    }
    text += ".\n\n";
    let own = results.rows.iter().map(|row| row.kugetsu_memory_mb).fold(0.0, f64::max);
    let model = if results.provider == "scripted" { ", with the scripted model in it" } else { "" };
    let _ = writeln!(text, "kugetsu's own process had at most {own:.1} MB{model}.\n");
    text
}

/// What the server uses before an agent does.
fn idle(rows: &[Row]) -> Option<f64> {
    let first = rows.first()?;
    Some(first.idle_memory_mb - first.baseline_memory_mb).filter(|idle| *idle > 1.0)
}

/// What has to be known to judge the numbers.
fn notes(results: &Results) -> String {
    let mut notes = Vec::new();
    for row in &results.rows {
        if row.failed_count > 0 {
            let why = row.reasons.join("; ");
            notes.push(format!(
                "With {}, {} failed: {why}.",
                agents_(row.agent_count),
                row.failed_count
            ));
        }
        if row.is_good() && row.most_at_work < row.agent_count {
            notes.push(format!(
                "Of {}, at most {} were at work in the same moment: some had ended before others had \
                 begun. So many at once can take more memory than this row shows.",
                agents_(row.agent_count),
                row.most_at_work
            ));
        }
    }
    let optimum = results.verdict.optimum;
    for row in &results.rows {
        if optimum.is_some_and(|optimum| row.agent_count < optimum) && !row.is_good() {
            notes.push(format!(
                "With {} not all succeeded, though with more they did. Whatever the reason is, it was not \
                 how many they were.",
                agents_(row.agent_count)
            ));
        }
    }
    for left_out in &results.not_tried {
        notes.push(format!("{} were not tried: {}.", left_out.agents, left_out.reason));
    }
    let others = results.rows.iter().map(|row| row.others_cpu_percent).sum::<f64>()
        / number(results.rows.len().max(1));
    if others >= 5.0 {
        notes.push(format!(
            "Other programs kept the machine's processors {others:.0} % busy meanwhile. Response times \
             would be shorter on a machine at rest."
        ));
    }
    if notes.is_empty() {
        return String::new();
    }
    let notes: Vec<String> = notes.iter().map(|note| format!("- {note}")).collect();
    format!("## To be kept in mind\n\n{}\n\n", notes.join("\n"))
}

/// `1 agent`, `2 agents`.
fn agents_(count: usize) -> String {
    crate::screen::time::counted(u64::try_from(count).unwrap_or(u64::MAX), "agent")
}

const GLOSSARY: &str = "\
## How to read this

- **Response** is the time from an agent's start to its end: finding or making its worktree and its session, and the whole turn. \
Who does not end in time is stopped and counts with the whole time. How soon somebody failed is left out. The value behind ± is the \
sample's standard deviation.
- **Memory** is that of everything of kugetsu's: its own process, the guards, opencode, and whatever that has started. Of what \
processes share each has its part (PSS), so that nothing is counted twice. 1 MB is 1,048,576 bytes.
- **Memory for each** is (peak − baseline) / agents, where the baseline is what was in use before anything was started for an agent. \
A server counts as the agents', not as the baseline.
- **Processors** at 100 % means that all of them are busy with what is kugetsu's.
- **Processes** are all that kugetsu has started, itself not counted.
- All of it is looked at several times a second; the file `results_….json` has each look, and `summary_….csv` one line for each row.
";
