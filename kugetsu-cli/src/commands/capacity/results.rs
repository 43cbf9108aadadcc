//! What a run has measured, as it is written: the document, and the table of it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::row::Row;
use super::verdict::{LeftOut, Verdict};

/// The format of the document. What is added to it later breaks nobody who reads it.
pub(super) const FORMAT: &str = "kugetsu.capacity/1";

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Results {
    pub(super) format: &'static str,
    /// kugetsu's version.
    pub(super) kugetsu: String,
    /// The agent's program and its version.
    pub(super) agent: String,
    /// When it began, in UTC.
    pub(super) started: String,
    pub(super) machine: OfMachine,
    /// `server` or `run`.
    pub(super) engine: &'static str,
    /// `scripted` or `own`.
    pub(super) provider: &'static str,
    pub(super) timeout_seconds: f64,
    /// What all agents together may use.
    pub(super) memory_limit_mb: f64,
    /// Whether somebody has said so; else it is three quarters of the machine's.
    pub(super) memory_limit_given: bool,
    /// Whether it was stopped before its end.
    pub(super) interrupted: bool,
    pub(super) rows: Vec<Row>,
    pub(super) not_tried: Vec<LeftOut>,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
    /// What follows for `config.toml`.
    pub(super) settings: Vec<Proposed>,
}

/// The machine that it was measured on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct OfMachine {
    pub(super) processors: usize,
    pub(super) memory_mb: f64,
    pub(super) system: String,
}

/// A setting, and the value that is proposed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proposed {
    pub(super) key: String,
    pub(super) value: String,
}

/// The first line of the table, which people's scripts know.
pub(super) const HEADER: &str = "agents,duration,success,failed,timeout,avg_response,stddev,\
min_response,max_response,peak_cpu,avg_cpu,peak_mem_mb,avg_mem_mb,peak_mem_pct,avg_mem_pct,\
peak_procs,baseline_mem,mem_per_agent,cost_score";

impl Results {
    /// How all results of one run are called: `results_<this>.json`.
    pub(super) fn stamp(&self) -> String {
        let digits: String = self.started.chars().filter(char::is_ascii_digit).take(14).collect();
        let (date, time) = digits.split_at(digits.len().min(8));
        format!("{date}_{time}")
    }

    /// The table, one row a line. What is not known is empty.
    pub(super) fn csv(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for row in &self.rows {
            let maybe =
                |value: Option<f64>| value.map(|value| format!("{value:.2}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "{},{:.2},{},{},{},{},{},{},{},{:.2},{:.2},{:.2},{:.2},{:.2},{:.2},{},{:.2},{:.2},\
                 {:.2}",
                row.agent_count,
                row.total_duration,
                row.success_count,
                row.failed_count,
                row.timeout_count,
                maybe(row.avg_response_time),
                maybe(row.stddev_response_time),
                maybe(row.min_response_time),
                maybe(row.max_response_time),
                row.peak_cpu_percent,
                row.avg_cpu_percent,
                row.peak_memory_mb,
                row.avg_memory_mb,
                row.peak_memory_percent,
                row.avg_memory_percent,
                row.peak_opencode_procs,
                row.baseline_memory_mb,
                row.memory_per_agent_mb,
                row.total_cost_score,
            );
        }
        text
    }
}

/// The settings of a document that was written before.
pub(super) fn settings_of(text: &str) -> Result<Vec<Proposed>, String> {
    #[derive(Deserialize)]
    struct Document {
        format: String,
        #[serde(default)]
        interrupted: bool,
        settings: Vec<Proposed>,
    }
    let read: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if read.format != FORMAT {
        return Err(format!("it is {:?}, not {FORMAT:?}", read.format));
    }
    if read.interrupted {
        return Err("that run was stopped before its end".to_owned());
    }
    if read.settings.is_empty() {
        return Err("it recommends nothing".to_owned());
    }
    Ok(read.settings)
}
