//! Importing a session's copy with opencode's own command, which puts it into the directory that
//! the command runs in.

use std::io::Write as _;
use std::path::Path;

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use kugetsu_guard::files;

use super::Copied;
use crate::fault;
use crate::random;
use crate::runner::OpencodeRunner;

/// Imports the copy, so that its directory is `directory`.
pub(crate) async fn import(
    runner: &OpencodeRunner,
    copy: &Copied,
    directory: &Path,
) -> Result<(), AgentError> {
    let state = runner.state().await?;
    let name = random::hex::<8>().map_err(|error| fault::io("make a name", error))?;
    let file = state.tmp().join(format!("import-{name}.json"));
    let written = files::private_file(&file)
        .and_then(|mut file| file.write_all(copy.to_json().to_string().as_bytes()));
    let imported = match written {
        Ok(()) => runner.command(["import".as_ref(), file.as_os_str()], directory).await,
        Err(error) => Err(fault::io("write a session's copy", error)),
    };
    let _ = std::fs::remove_file(&file);
    let output = imported?;
    if output.code == Some(0) {
        return Ok(());
    }
    Err(fault::backend("import a session", Retry::Later, output.complaint()))
}
