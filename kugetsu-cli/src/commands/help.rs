//! `kugetsu help`: commands, and the subjects that have no command.

use clap::CommandFactory as _;
use serde_json::json;

use crate::args::Cli;
use crate::errors::CliError;
use crate::exit;
use crate::screen::Screen;
use crate::screen::table::Rows;
use crate::settings::SETTINGS;
use crate::setup::Setup;

/// The subjects that are no commands.
const SUBJECTS: [&str; 3] = ["exit-codes", "config", "refs"];

const PRECEDENCE: &str = "\
A setting is taken from the first of these that has it:
  --config KEY=VALUE              for one command
  the environment                 by the name in capital letters
  config.toml in KUGETSU_DIR      KEY = VALUE
  config in KUGETSU_DIR           NAME=VALUE, the file of the bash version; read, never run
  the default
`kugetsu config list` shows each value and where it comes from. A change holds for every command from
then on; a daemon that runs has read them when it started: `kugetsu queue-daemon restart`.

KUGETSU_DIR (default ~/.kugetsu) is where everything is kept.
";

const REFS: &str = "\
An issue is named in one of these ways:
  https://github.com/acme/widgets/issues/42    its address; also of Gitea, Forgejo and GitLab
  github.com/acme/widgets#42                   host/owner/repo#number
  acme/widgets#42                              on the default server
  '#42'                                        in a checkout of its repository (quoted: # begins a
                                               comment in a shell)

The default server is the setting default_server, or the one that `kugetsu server default` names.
An owner may have several parts, as groups of GitLab have: gitlab.com/group/sub/tool#7.
The first part is a host if it has a dot or a port, or is localhost.

Each part is made of letters, digits, `.`, `_` and `-`, and does not begin with `.` or `-`: whatever
an issue is called, its worktree stays in its directory and is no option. Two issues never share a
worktree, a branch or a session.

Refused are a bare #42 elsewhere, where it names no repository, the address of a pull request, and an
address with a user or a password in it.
";

pub(super) fn help(what: &[String], setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    match what {
        [subject] if subject == "exit-codes" => exit_codes(screen),
        [subject] if subject == "config" => config(screen),
        [subject] if subject == "refs" => screen.say(REFS.trim_end()),
        path => of_command(path, screen),
    }
}

fn of_command(path: &[String], screen: &Screen) -> Result<(), CliError> {
    let mut command = Cli::command();
    // Only a built command knows how it is called from the outermost one.
    command.build();
    let mut at = &mut command;
    for word in path {
        let known: Vec<String> =
            at.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        at = match at.find_subcommand_mut(word) {
            Some(found) => found,
            None => return Err(unknown(word, &known)),
        };
    }
    let help = at.render_long_help();
    let may_paint = screen.terminals.output && screen.may_paint();
    let text = if may_paint { help.ansi().to_string() } else { help.to_string() };
    screen.say(text.trim_end())
}

fn unknown(word: &str, known: &[String]) -> CliError {
    let names = known.iter().map(String::as_str).chain(SUBJECTS);
    let nearest = names
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let error = CliError::usage(format!("there is no command or subject {word:?}"));
    match nearest {
        Some((_, name)) => error.hint(format!("did you mean `kugetsu help {name}`?")),
        None => error.hint("`kugetsu help` lists them"),
    }
}

fn exit_codes(screen: &Screen) -> Result<(), CliError> {
    if screen.json {
        let codes: Vec<_> =
            exit::ALL.iter().map(|(code, means)| json!({ "code": code, "means": means })).collect();
        return screen.answer(&json!({ "exit_codes": codes }));
    }
    let mut rows = Rows::new(["EXIT", "MEANS"]);
    for (code, means) in exit::ALL {
        rows.row([code.to_string(), (*means).to_owned()]);
    }
    rows.show(screen)
}

fn config(screen: &Screen) -> Result<(), CliError> {
    let used = || SETTINGS.iter();
    if screen.json {
        let all: Vec<_> = used()
            .map(|setting| {
                json!({
                    "key": setting.key,
                    "variable": setting.variable,
                    "default": setting.default,
                    "doc": setting.doc,
                })
            })
            .collect();
        return screen.answer(&json!({ "settings": all }));
    }
    screen.say(PRECEDENCE)?;
    for setting in used() {
        let default = setting.default.unwrap_or("unset");
        screen.say(format!("{} ({})  [default: {default}]", setting.key, setting.variable))?;
        screen.say(format!("    {}", setting.doc))?;
    }
    Ok(())
}
