pub(super) async fn mcp(_args: crate::args::Mcp, _setup: &crate::setup::Setup) -> Result<(), crate::errors::CliError> { Ok(()) }
