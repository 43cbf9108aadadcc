//! How many agents the machine carries.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kugetsu capacity --quick                     about a minute, against a model that costs nothing
  kugetsu capacity --counts 1,2,4,8,16         just these
  kugetsu capacity --agents 15 --step 1 --timeout 120 --memory-limit 1024M
  kugetsu capacity --quick --engine run        a process for each agent, to compare
  kugetsu capacity --quick --apply             and set max_concurrent_agents to what is recommended
  kugetsu capacity --apply=results_20261127_101500.json    what was measured before

It writes results_<time>.json, summary_<time>.csv, report_<time>.md and two charts. Nothing of
KUGETSU_DIR is touched, unless with --apply.
Exit codes: 0 measured, 1 no agent succeeded, 69 opencode is missing, 130 stopped by Ctrl-C: what
was measured until then is written all the same.")]
pub(crate) struct Capacity {
    /// Measure 1, 2, 3, 5 and 8 agents at once
    #[arg(long, conflicts_with_all = ["agents", "step", "counts"])]
    pub(crate) quick: bool,
    /// Measure from one agent up to so many at once
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) agents: u16,
    /// How many agents more each time; the last time there are as many as `--agents` says
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) step: u16,
    /// Measure just so many at once, such as 1,2,4,8
    #[arg(
        long,
        value_name = "N,N,…",
        value_delimiter = ',',
        conflicts_with_all = ["agents", "step"],
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    pub(crate) counts: Vec<u16>,
    /// How long an agent may take, in seconds or as 2m
    #[arg(long, value_name = "TIME", default_value = "120", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// How much memory all agents together may use, such as 1024M or 4G [default: three quarters of
    /// what the machine has]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_limit: Option<u64>,
    /// How opencode runs
    #[arg(long, value_name = "ENGINE", default_value = "server")]
    pub(crate) engine: CapacityEngine,
    /// Use the provider that opencode is set up with instead of the scripted model; it costs money
    #[arg(long)]
    pub(crate) own_provider: bool,
    /// Do not ask whether it may cost money
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
    /// Where the files are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) output: PathBuf,
    /// Write what is recommended into config.toml; with `=RESULTS` what an earlier run has measured
    #[arg(long, value_name = "RESULTS", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option)]
    pub(crate) apply: Option<Option<PathBuf>>,
}

/// How opencode runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CapacityEngine {
    /// All agents on one `opencode serve`, as with `agent = "opencode"`
    Server,
    /// An `opencode run` for each agent, as with `agent = "opencode-run"`
    Run,
}

/// A time; a bare number is seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let time = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => super::duration(text)?,
    };
    if time.is_zero() { Err("it has to be longer than nothing".into()) } else { Ok(time) }
}

/// A number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let refused = || format!("{text:?} is no size; write it as 1024M or 4G");
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
    let (number, unit) = text.split_at(end);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(refused)
}

impl Capacity {
    /// How many agents at once, one after the other: in order, and each once.
    pub(crate) fn counts(&self) -> Vec<usize> {
        let mut counts: Vec<u16> = match (self.quick, self.counts.as_slice()) {
            (true, _) => vec![1, 2, 3, 5, 8],
            (false, []) => {
                (1..=self.agents).step_by(self.step.into()).chain([self.agents]).collect()
            }
            (false, counts) => counts.to_vec(),
        };
        counts.sort_unstable();
        counts.dedup();
        counts.into_iter().map(usize::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn read(line: &str) -> Result<Capacity, String> {
        let words = ["kugetsu", "capacity"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Capacity(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_counts_are_those_of_the_original_or_those_that_are_asked_for() {
        let counts = |line: &str| read(line).unwrap().counts();
        assert_eq!(counts("--quick"), [1, 2, 3, 5, 8]);
        assert_eq!(counts(""), (1..=15).collect::<Vec<_>>());
        assert_eq!(counts("--agents 15 --step 5"), [1, 6, 11, 15]);
        assert_eq!(counts("--agents 1 --step 9"), [1]);
        assert_eq!(counts("--counts 8,1,2,2"), [1, 2, 8]);
        for wrong in ["--quick --agents 3", "--counts 0", "--agents 0", "--step 0", "--counts 1,x"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_options_of_the_original_are_understood() {
        let args = read("--agents 15 --step 1 --timeout 120 --memory-limit 1024M").unwrap();
        assert_eq!(args.timeout, Duration::from_mins(2));
        assert_eq!(args.memory_limit, Some(1 << 30));
        assert_eq!(read("--timeout 2m").unwrap().timeout, Duration::from_mins(2));
        assert_eq!(read("--memory-limit 4GiB").unwrap().memory_limit, Some(4 << 30));
        for wrong in ["--timeout 0", "--timeout soon", "--memory-limit 1024", "--memory-limit 0M"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read("--apply").unwrap().apply, Some(None));
        assert_eq!(read("--apply=a.json").unwrap().apply, Some(Some("a.json".into())));
    }
}
