//! The program `kugetsu`.

use std::process::ExitCode;

use kugetsu_cli::CliRunner;

fn main() -> ExitCode {
    kugetsu_opencode::guard::main_if_asked();
    CliRunner::default().run()
}
