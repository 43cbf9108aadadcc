//! `kugetsu queue-daemon install`: the daemon as a service of the user's systemd.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::unit::{Unit, is_tellable, program};
use crate::args::InstallDaemon;
use crate::errors::{CliError, Kind};
use crate::paths::replace;
use crate::settings::Origin;
use crate::setup::Setup;

const NAME: &str = "kugetsu.service";

/// What has to be done, or is done with `--now`, once the unit is written.
const STEPS: [&[&str]; 2] = [&["--user", "daemon-reload"], &["--user", "enable", "--now", NAME]];

pub(super) fn install(args: &InstallDaemon, setup: &Setup) -> Result<(), CliError> {
    let (screen, text) = (setup.screen(), text(setup)?);
    tell_lost_settings(setup)?;
    if args.print {
        return screen.say(text.trim_end());
    }
    let path = place(setup)?;
    let told_io = |error| CliError::io(format_args!("write {}", path.display()), &error);
    let there = match fs::read_to_string(&path) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(told_io(error)),
    };
    let differs = there.as_ref().is_some_and(|there| *there != text);
    if differs && !args.force {
        let message = format!("{} is there already, and says something else", screen.path(&path));
        return Err(CliError::failed(message)
            .hint("`--print` shows what would be written, `--force` overwrites it"));
    }
    if differs || there.is_none() {
        let directory = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory).map_err(told_io)?;
        replace(&path, &text).map_err(told_io)?;
    }
    if args.now {
        for step in STEPS {
            systemctl(step, setup)?;
        }
    }
    if screen.json {
        return screen.answer(&json!({ "unit": path, "written": differs || there.is_none() }));
    }
    screen.say(format!("The unit is {}.", screen.path(&path)))?;
    if args.now {
        screen.remark("It is enabled and started.");
    } else {
        screen.remark("To start it now and at each login:");
        for step in STEPS {
            screen.remark(format!("  systemctl {}", step.join(" ")));
        }
    }
    screen.remark("To have it run while you are logged out, too:");
    screen.remark("  loginctl enable-linger");
    Ok(())
}

fn text(setup: &Setup) -> Result<String, CliError> {
    let exe = std::env::current_exe().map_err(|error| CliError::io("find the program", &error))?;
    let refused = |what: &str| {
        CliError::failed(format!("{what} cannot be written into a unit"))
            .hint("it has to be UTF-8 without control characters")
    };
    let program = program(&exe).ok_or_else(|| refused(&exe.display().to_string()))?;
    let root = setup.paths()?.root();
    let root = root.to_str().ok_or_else(|| refused("KUGETSU_DIR"))?;
    let path = setup.around().variable("PATH").unwrap_or_default();
    let path = path.to_str().ok_or_else(|| refused("PATH"))?;
    let variables = [("KUGETSU_DIR", root), ("PATH", path)];
    let flags = setup.flags();
    let said = variables.iter().map(|(_, value)| *value).chain(flags.iter().map(String::as_str));
    if let Some(odd) = said.into_iter().find(|text| !is_tellable(text)) {
        return Err(refused(&format!("{odd:?}")));
    }
    let drain = setup.settings()?.drain_timeout();
    Ok(Unit { program, flags, variables: &variables, drain }.text())
}

/// A service does not have the environment of whoever installs it.
fn tell_lost_settings(setup: &Setup) -> Result<(), CliError> {
    let from_environment =
        setup.settings()?.values().iter().filter_map(|value| match value.origin {
            Origin::Environment(name) => Some(name),
            _ => None,
        });
    let names: Vec<&str> = from_environment.collect();
    if !names.is_empty() {
        setup.screen().remark(format!(
            "note: the service does not get {} from your environment; set it in config.toml",
            names.join(", ")
        ));
    }
    Ok(())
}

/// `$XDG_CONFIG_HOME/systemd/user/kugetsu.service`.
fn place(setup: &Setup) -> Result<PathBuf, CliError> {
    let around = setup.around();
    let absolute =
        |name| around.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .ok_or_else(|| CliError::config("neither XDG_CONFIG_HOME nor HOME is set"))?;
    Ok(config.join("systemd/user").join(NAME))
}

fn systemctl(arguments: &[&str], setup: &Setup) -> Result<(), CliError> {
    let said = format!("systemctl {}", arguments.join(" "));
    let mut command = Command::new("systemctl");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if !setup.around().is_of_process {
        command.env_clear().envs(&setup.around().variables);
    }
    let ended = command.output().map_err(|error| {
        CliError::new(Kind::Missing, format!("could not run `{said}`: {error}"))
            .hint("the unit is written; without `--now` it says what to do next")
    })?;
    if ended.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    Err(CliError::failed(format!("`{said}` failed: {why}"))
        .hint("the unit is written; run that yourself once it is mended"))
}
