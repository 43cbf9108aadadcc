//! Prints `docs/benchmarks.md`: `bench-report DAY CRITERION-DIRECTORY [CAPACITY-RESULTS.json …]`.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::io;
use std::path::Path;
use std::process::ExitCode;

use kugetsu_benches::report::agents::Run;
use kugetsu_benches::report::page::Page;
use kugetsu_benches::report::{machine, measured};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [day, directory, runs @ ..] = arguments.as_slice() else {
        eprintln!("bench-report: say the day and criterion's directory; see scripts/bench");
        return ExitCode::from(64);
    };
    let groups = measured::read(Path::new(directory));
    let runs = runs.iter().map(|path| Run::read(Path::new(path))).collect::<io::Result<_>>();
    match groups.and_then(|groups| Ok((groups, runs?))) {
        Ok((groups, runs)) => {
            let page = Page { day: day.clone(), groups, runs, machine: machine::describe() };
            print!("{}", page.markdown());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench-report: {error}");
            ExitCode::FAILURE
        }
    }
}
