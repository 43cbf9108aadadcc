//! How many agents a machine holds, as `kugetsu capacity` has measured it.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

/// One run of the capacity test.
#[derive(Debug, Deserialize)]
pub struct Run {
    /// How opencode was driven: `server` or `run`.
    pub engine: String,
    /// Count by count.
    pub rows: Vec<Row>,
}

/// So many agents at once.
#[derive(Debug, Deserialize)]
pub struct Row {
    /// How many.
    pub agent_count: u32,
    /// How many of them did what they were asked to.
    pub success_count: u32,
    /// From the first one's start to the last one's end, in seconds.
    pub total_duration: f64,
    /// The mean of how long an agent took, in seconds; `None` if none came to its end.
    pub avg_response_time: Option<f64>,
    /// The most memory at any time, in MB of 10⁶ bytes.
    pub peak_memory_mb: f64,
    /// What was there before, in MB.
    pub baseline_memory_mb: f64,
    /// The most that kugetsu itself held, in MB.
    pub kugetsu_memory_mb: f64,
}

impl Run {
    /// Reads what `kugetsu capacity --json` has said.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or says something else.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// What each further agent needs, in MB: the slope between the first and the last row.
    pub fn further(&self) -> Option<f64> {
        let (first, last) = (self.rows.first()?, self.rows.last()?);
        let agents = f64::from(last.agent_count.checked_sub(first.agent_count)?);
        (agents > 0.0).then(|| (last.memory() - first.memory()) / agents)
    }

    pub(super) fn write(&self, text: &mut String) {
        let how = match self.engine.as_str() {
            "server" => "One shared server",
            "run" => "A process for each agent",
            other => other,
        };
        let _ = write!(
            text,
            "\n### {how}\n\n| agents | succeeded | all done in | mean of an agent | memory | kugetsu itself |\n\
             |---|---|---|---|---|---|\n"
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} s | {} | {:.0} MB | {:.0} MB |",
                row.agent_count,
                row.success_count,
                row.total_duration,
                row.avg_response_time.map_or_else(|| "—".into(), |mean| format!("{mean:.1} s")),
                row.memory(),
                row.kugetsu_memory_mb
            );
        }
        if let Some(further) = self.further() {
            let _ = writeln!(text, "\nEach further agent: {further:.0} MB.");
        }
    }
}

impl Row {
    /// What the agents needed.
    fn memory(&self) -> f64 {
        self.peak_memory_mb - self.baseline_memory_mb
    }
}

/// A figure by its name, for the targets.
pub(super) fn figure(name: &str, runs: &[Run]) -> Option<f64> {
    let of = |engine: &str| runs.iter().find(|run| run.engine == engine);
    let with = |engine: &str, agents: u32| {
        of(engine)?.rows.iter().find(|row| row.agent_count == agents).map(Row::memory)
    };
    match name {
        "further" => of("server")?.further(),
        "kugetsu" => of("server")?.rows.last().map(|row| row.kugetsu_memory_mb),
        "whole" => Some(with("server", 16)? / with("run", 16)?),
        _ => None,
    }
}
