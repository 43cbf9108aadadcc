//! `kugetsu capacity`: how many agents the machine carries, measured with real ones.

mod apply;
mod chart;
mod report;
mod results;
mod row;
mod run;
mod sample;
mod show;
mod stage;
#[cfg(test)]
mod tests;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kugetsu_core::Clock as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::{Capacity, CapacityEngine};
use crate::errors::{CliError, Kind};
use crate::screen::progress::Progress;
use crate::screen::table::Rows;
use crate::screen::{Screen, Tone, escape, time};
use crate::setup::{Setup, clock};
use crate::signals::Signals;
use apply::Applied;
use report::Charts;
use results::{FORMAT, OfMachine, Proposed, Results};
use row::{mb, round};
use run::{Measured, Run};
use sample::Machine;
use show::Show;
use stage::Stage;
use verdict::{By, Verdict};

pub(super) async fn capacity(args: Capacity, setup: &Setup) -> Result<(), CliError> {
    if let Some(Some(file)) = &args.apply {
        return apply::from_file(setup, file);
    }
    if args.apply.is_some() {
        setup.must_be_made()?;
    }
    let (screen, counts) = (setup.screen(), args.counts());
    may_cost(screen, &args, &counts)?;
    let machine = Machine::this().map_err(|error| CliError::io("look at the machine", &error))?;
    let output = output(setup, &args.output)?;
    let started = clock()?.now();
    let stage = Stage::set(setup, args.engine, args.own_provider, args.timeout).await?;

    let stop = CancellationToken::new();
    let progress = Arc::new(Progress::new(screen));
    let _signals = listen(setup, &progress, &stop, stage.directory())?;
    let show = Show::new(&progress, &counts, args.engine);
    let run = Run {
        stage: &stage,
        machine,
        engine: args.engine,
        timeout: args.timeout,
        stop: stop.clone(),
        show: &show,
    };
    let measured = run.all(&counts).await;
    drop(show);
    let agent = stage.agent.clone();
    drop(stage);

    let interrupted = stop.is_cancelled();
    let about = About { machine, agent, started: time::rfc3339(started).unwrap_or_default() };
    let results = results(&args, about, measured?, interrupted);
    if interrupted && results.rows.is_empty() {
        let message = "stopped before anything was measured";
        return Err(CliError::new(Kind::Interrupted, message));
    }
    let files = write(&results, &output)?;
    let applied = match (&args.apply, results.settings.as_slice()) {
        (Some(_), proposed @ [_, ..]) if !interrupted => Some(apply::apply(setup, proposed)?),
        _ => None,
    };
    tell(setup, &results, &files, applied.as_deref())?;
    if interrupted {
        return Err(CliError::new(Kind::Interrupted, "the measurement was stopped"));
    }
    if results.verdict.optimum.is_none() {
        return Err(CliError::failed(results.verdict.reason));
    }
    if args.apply.is_some() && applied.is_none() {
        return Err(CliError::failed("nothing is recommended, so nothing was set"));
    }
    Ok(())
}

/// Asks before money is spent.
fn may_cost(screen: &Screen, args: &Capacity, counts: &[usize]) -> Result<(), CliError> {
    if !args.own_provider || args.yes {
        return Ok(());
    }
    let turns: usize = counts.iter().sum();
    let what = format!(
        "This has {turns} agents make a turn each with your own provider, which may cost money."
    );
    if !screen.can_ask() {
        return Err(CliError::usage(what).hint("say `--yes` if that is meant"));
    }
    if screen.confirm(&format!("{what} Go on?"))? {
        return Ok(());
    }
    Err(CliError::new(Kind::Interrupted, "nothing was measured"))
}

/// Where the files go. Found out before the work and not after it.
fn output(setup: &Setup, given: &Path) -> Result<PathBuf, CliError> {
    let output: PathBuf = setup.around().directory.join(given).components().collect();
    let failed = |error| CliError::io(format_args!("write into {}", output.display()), &error);
    fs::create_dir_all(&output).map_err(failed)?;
    let trial = output.join(format!(".kugetsu-capacity-{}", std::process::id()));
    fs::write(&trial, "").and_then(|()| fs::remove_file(&trial)).map_err(failed)?;
    Ok(output)
}

/// The first signal ends the measurement politely, the second one at once.
fn listen(
    setup: &Setup,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
    directory: &Path,
) -> Result<Option<Signals>, CliError> {
    if !setup.around().is_of_process {
        return Ok(None);
    }
    let (first, last) = (Arc::clone(progress), Arc::clone(progress));
    let directory = directory.to_owned();
    let leave = move || {
        last.leave();
        let _ = fs::remove_dir_all(&directory);
    };
    let told = "Stopping; what was measured is kept. Once more to end at once.";
    Signals::listen(stop.clone(), move || first.remark(told), leave).map(Some)
}

/// What is known beside the rows.
struct About {
    machine: Machine,
    agent: String,
    started: String,
}

fn results(args: &Capacity, about: About, measured: Measured, interrupted: bool) -> Results {
    let About { machine, agent, started } = about;
    let limit = args.memory_limit.unwrap_or(machine.memory / 4 * 3);
    let limit_mb = round(mb(limit));
    let Measured { rows, left_out } = measured;
    let verdict = Verdict::of(&rows, &left_out, args.engine, limit_mb);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Results {
        format: FORMAT,
        kugetsu: env!("CARGO_PKG_VERSION").to_owned(),
        agent,
        started,
        machine: OfMachine {
            processors: machine.processors,
            memory_mb: round(mb(machine.memory)),
            system: format!("Linux {}", release.trim()),
        },
        engine: match args.engine {
            CapacityEngine::Server => "server",
            CapacityEngine::Run => "run",
        },
        provider: if args.own_provider { "own" } else { "scripted" },
        timeout_seconds: args.timeout.as_secs_f64(),
        memory_limit_mb: limit_mb,
        memory_limit_given: args.memory_limit.is_some(),
        interrupted,
        rows,
        not_tried: left_out,
        settings: settings(&verdict),
        verdict,
    }
}

/// What follows for `config.toml`.
fn settings(verdict: &Verdict) -> Vec<Proposed> {
    let agents = verdict.recommended_agents.map(|agents| Proposed {
        key: "max_concurrent_agents".to_owned(),
        value: agents.to_string(),
    });
    agents.into_iter().collect()
}

/// Writes everything, and says where it is.
fn write(results: &Results, output: &Path) -> Result<Vec<PathBuf>, CliError> {
    let stamp = results.stamp();
    let named = |what: &str, end: &str| format!("{what}_{stamp}.{end}");
    let drawn = |svg: Result<String, String>| {
        svg.map_err(|error| CliError::failed(format!("could not draw a chart: {error}")))
    };
    let charts = Charts { memory: named("memory", "svg"), response: named("response", "svg") };
    let document = serde_json::to_string_pretty(results)
        .map_err(|error| CliError::failed(format!("could not write JSON: {error}")))?;
    let is_drawn = !results.rows.is_empty();
    let mut texts = vec![
        (named("report", "md"), report::report(results, is_drawn.then_some(&charts))),
        (named("summary", "csv"), results.csv()),
        (named("results", "json"), document + "\n"),
    ];
    if is_drawn {
        texts.push((charts.memory, drawn(chart::memory(results))?));
        texts.push((charts.response, drawn(chart::response(results))?));
    }
    let mut files = Vec::new();
    for (name, text) in texts {
        let path = output.join(name);
        fs::write(&path, text)
            .map_err(|error| CliError::io(format_args!("write {}", path.display()), &error))?;
        files.push(path);
    }
    Ok(files)
}

/// Says what came of it.
fn tell(
    setup: &Setup,
    results: &Results,
    files: &[PathBuf],
    applied: Option<&[Applied]>,
) -> Result<(), CliError> {
    let screen = setup.screen();
    if screen.json {
        let mut answer = json!(results);
        answer["files"] = json!(files);
        if let Some(applied) = applied {
            answer["applied"] = json!(applied);
        }
        return screen.answer(&answer);
    }
    let header = ["AGENTS", "DONE", "FAILED", "LATE", "RESPONSE", "CPU", "MEMORY", "EACH", "PROCS"];
    let mut rows = (0..header.len()).fold(Rows::new(header), Rows::right);
    for row in &results.rows {
        rows.row([
            row.agent_count.to_string(),
            row.success_count.to_string(),
            row.failed_count.to_string(),
            row.timeout_count.to_string(),
            row.avg_response_time.map_or("-".into(), |mean| format!("{mean:.2} s")),
            format!("{:.2} %", row.avg_cpu_percent),
            format!("{:.2} MB", row.peak_memory_mb),
            format!("{:.2} MB", row.memory_per_agent_mb),
            row.peak_opencode_procs.to_string(),
        ]);
    }
    rows.show(screen)?;
    screen.say("")?;
    let verdict = &results.verdict;
    match verdict.recommended_agents {
        Some(agents) => {
            let head = format!("Recommended: max_concurrent_agents = {agents}");
            screen.say(screen.painted(Tone::Good, &head))?;
            screen.say(format!("Why not more: {}.", verdict.reason))?;
        }
        // The error says it.
        None if verdict.optimum.is_none() && !results.interrupted => {}
        None => screen.say(format!("Nothing is recommended: {}.", verdict.reason))?,
    }
    if let Some(memory) = verdict.memory {
        let (first, further) = (memory.first_agent_mb, memory.further_agent_mb);
        screen.say(match memory.by {
            By::Line => {
                format!("The first agent costs {first:.2} MB, each further one {further:.2} MB.")
            }
            By::Mean => format!("Each agent costs {further:.2} MB."),
        })?;
    }
    if let Some(report) = files.first() {
        let shown = screen.path(near(setup, report));
        screen.say(format!("The report is {shown}"))?;
    }
    if let Some(applied) = applied {
        return apply::tell(setup, applied);
    }
    if let (Some(_), Some(file), false) =
        (verdict.recommended_agents, files.get(2), results.interrupted)
    {
        let shown = escape::word(&near(setup, file).to_string_lossy());
        screen.remark(format!("hint: set it with `kugetsu capacity --apply={shown}`"));
    }
    Ok(())
}

/// The path as it is typed where the command was.
fn near<'a>(setup: &Setup, path: &'a Path) -> &'a Path {
    path.strip_prefix(&setup.around().directory).unwrap_or(path)
}
