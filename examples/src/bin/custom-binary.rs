//! The whole command `kugetsu`, with an agent of one's own in it beside opencode.
//!
//! ```sh
//! export KUGETSU_DIR=$(mktemp -d) KUGETSU_AGENT=counter
//! cargo run -p kugetsu-examples --bin custom-binary -- init
//! cargo run -p kugetsu-examples --bin custom-binary -- start acme/widgets#7 "Count this." --repo ~/src/widgets
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use kugetsu::core::AgentId;
use kugetsu_cli::CliRunner;
use kugetsu_examples::agent::{Counter, ModelAgent};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // First of all: this program is also the guard of its agents' processes.
    kugetsu::guard::main_if_asked();
    let agent = Arc::new(ModelAgent::new(AgentId::new("counter")?, Counter));
    Ok(CliRunner::default().with_agent("counter", move |_place| Ok(agent.clone())).run())
}
