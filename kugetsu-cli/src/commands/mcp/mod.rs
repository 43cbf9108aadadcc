//! `kugetsu mcp`: the commands as tools for agents, by the Model Context Protocol over the standard
//! streams.

mod asked;
mod tools;

use rmcp::ServiceExt as _;
use rmcp::transport::stdio;

use crate::args::Mcp;
use crate::caller::Caller;
use crate::errors::CliError;
use crate::setup::Setup;

use tools::Tools;

/// Offers the tools until the agent closes the input. Nothing but the protocol is written to the
/// output.
pub(super) async fn mcp(args: Mcp, setup: &Setup) -> Result<(), CliError> {
    if !setup.around().is_of_process {
        return Err(CliError::usage("`kugetsu mcp` speaks over the streams of its own process"));
    }
    let reads_only = args.read_only || setup.caller()? == Caller::Dev;
    let told = |error: String| CliError::failed(format!("could not speak to the agent: {error}"));
    let tools = Tools::new(setup.for_tools(), reads_only);
    let service = tools.serve(stdio()).await.map_err(|error| told(error.to_string()))?;
    service.waiting().await.map_err(|error| told(error.to_string()))?;
    Ok(())
}
