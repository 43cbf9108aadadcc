//! The two settings files: `config.toml`, and the original's `config`, which is parsed and never
//! executed.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Origin, Setting, Settings, agents, plugins, sinks, table, unknown};
use crate::errors::CliError;
use crate::paths;

/// Reads `config.toml`, if it is there.
pub(super) fn read_toml(path: &Path, settings: &mut Settings) -> Result<(), CliError> {
    let Some(text) = read(path)? else { return Ok(()) };
    let at = |offset: usize| place(path, line_of(&text, offset));
    let table = DeTable::parse(&text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        CliError::config(format!("{}: {}", at(offset), error.message()))
    })?;
    for (name, value) in table.into_inner() {
        let (offset, name) = (name.span().start, name.into_inner());
        let line = line_of(&text, offset);
        match name.as_ref() {
            "notify" => settings.sinks = sinks::read(value, &at)?,
            "plugin" => settings.plugins = plugins::read(value, &at)?,
            "acp" => settings.agents.extend(agents::read_acp(value, &at)?),
            "command" => settings.agents.extend(agents::read_commands(value, &at)?),
            "agent_for" => settings.agent_for = agents::read_agent_for(value, &at)?,
            _ => {
                let (setting, plain) = plain(&name, offset, value, &at)?;
                settings.set(setting, plain, Origin::File { path: path.to_owned(), line });
            }
        }
    }
    Ok(())
}

/// The setting of this name, and its value, checked.
fn plain(
    name: &str,
    offset: usize,
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<(&'static Setting, String), CliError> {
    let Some(setting) = table::by_key(name).or_else(|| table::by_variable(name)) else {
        return Err(unknown(CliError::config, &at(offset), name));
    };
    let wrong = |why: String| CliError::config(format!("{}: {name}: {why}", at(offset)));
    let plain = match value.into_inner() {
        DeValue::String(text) => text.into_owned(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', ""),
        DeValue::Float(number) => number.as_str().replace('_', ""),
        DeValue::Boolean(flag) => flag.to_string(),
        _ => return Err(wrong("it has to be a number, a text, true or false".into())),
    };
    Ok((setting, setting.kind.check(&plain).map_err(wrong)?))
}

/// Reads the flat file, if it is there: lines of `KEY=VALUE`, with or without `export` and quotes. It
/// was a script of the bash version's: what sets none of our settings is left out.
pub(super) fn read_flat(path: &Path, settings: &mut Settings) -> Result<(), CliError> {
    let Some(text) = read(path)? else { return Ok(()) };
    for (number, line) in text.lines().enumerate() {
        let line = flat_line(line);
        match line {
            FlatLine::Nothing => {}
            FlatLine::Foreign(why) => settings.left_out.push((number + 1, why)),
            FlatLine::Set { setting, name, value } => {
                let told =
                    |why| CliError::config(format!("{}: {name}: {why}", place(path, number + 1)));
                let origin = Origin::File { path: path.to_owned(), line: number + 1 };
                settings.set(setting, value.map_err(told)?, origin);
            }
        }
    }
    Ok(())
}

/// What stands in a line of a flat file.
pub(crate) enum FlatLine {
    Nothing,
    /// Something that sets none of our settings; why.
    Foreign(String),
    /// A setting, by the name that stands there, and its value or what is wrong with it.
    Set {
        setting: &'static Setting,
        name: String,
        value: Result<String, String>,
    },
}

/// What a line of a flat file says.
pub(crate) fn flat_line(line: &str) -> FlatLine {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return FlatLine::Nothing;
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let Some((name, value)) = line.split_once('=') else {
        return FlatLine::Foreign("it is not KEY=VALUE, and nothing is run".into());
    };
    let name = name.trim();
    let Some(setting) = table::by_variable(name).or_else(|| table::by_key(name)) else {
        let meant = table::nearest(name).map(|near| format!("; did you mean `{near}`?"));
        return FlatLine::Foreign(format!(
            "there is no setting {name:?}{}",
            meant.unwrap_or_default()
        ));
    };
    let value = unquoted(value).and_then(|value| setting.kind.check(&value));
    FlatLine::Set { setting, name: name.to_owned(), value }
}

/// The text of `config.toml` as `init` writes it: everything there is, commented out.
pub(crate) fn commented() -> String {
    let mut text = String::from(
        "# Settings of kugetsu. What is commented out is the default.\n\
         # An environment variable of the name in parentheses comes before what stands here.\n\
         # `kugetsu config list` shows each value with where it came from.\n",
    );
    for setting in table::SETTINGS {
        let value = setting.default.map_or("\"\"".to_owned(), |text| setting.kind.toml(text));
        let _ = write!(
            text,
            "\n# {} ({})\n# {} = {value}\n",
            setting.doc, setting.variable, setting.key
        );
    }
    text + sinks::EXAMPLE + agents::EXAMPLE + plugins::EXAMPLE
}

/// Has `config.toml` say this, for good: it is on the disk when this returns. All else in it stays as
/// it was.
pub(crate) fn write(config: &Path, values: &[(&'static Setting, String)]) -> Result<(), CliError> {
    let told = |error: &io::Error| CliError::io(format_args!("change {}", config.display()), error);
    // A link stays one.
    let config = config.canonicalize().unwrap_or_else(|_| config.to_owned());
    // Two who write at once must not forget one another's.
    let _lock = paths::lock_beside(&config).map_err(|error| told(&error))?;
    let mut text = match paths::read(&config) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(told(&error)),
    };
    for (setting, value) in values {
        text = with_setting(&text, setting, value).ok_or_else(|| {
            let (key, line) = (setting.key, setting.kind.toml(value));
            CliError::config(format!("`{key}` cannot be set in {}", config.display()))
                .hint(format!("write it as `{key} = {line}` there"))
        })?;
    }
    paths::replace(&config, &text).map_err(|error| told(&error))
}

/// The text of a `config.toml` with this setting set to this text, and all else as it was. `None` if
/// that cannot be written into it.
fn with_setting(text: &str, setting: &Setting, value: &str) -> Option<String> {
    let table = DeTable::parse(text).ok()?.into_inner();
    let stands = |(name, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
        let name = name.into_inner();
        (name == setting.key || name == setting.variable).then(|| value.span())
    };
    let quoted = setting.kind.toml(value);
    let mut changed = text.to_owned();
    if let Some(place) = table.into_iter().find_map(stands) {
        changed.replace_range(place, &quoted);
    } else {
        let line = format!("{} = {quoted}\n", setting.key);
        changed.insert_str(behind_comment(text, &format!("# {} = ", setting.key)), &line);
    }
    let said = DeTable::parse(&changed).ok()?.into_inner();
    let is_said = said.into_iter().any(|(name, said)| {
        let offset = name.span().start;
        let plain = plain(name.get_ref(), offset, said, &|_| String::new());
        plain.is_ok_and(|(of, said)| of.key == setting.key && said == value)
    });
    is_said.then_some(changed)
}

/// Behind the line that begins so, if it stands before the first table; else the beginning.
fn behind_comment(text: &str, comment: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n').take_while(|line| !line.trim_start().starts_with('[')) {
        at += line.len();
        if line.starts_with(comment) && line.ends_with('\n') {
            return at;
        }
    }
    0
}

fn read(path: &Path) -> Result<Option<String>, CliError> {
    match paths::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::config(format!("could not read {}: {error}", path.display()))),
    }
}

fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// A value of the flat file without its quotes and the comment behind it. What a shell would
/// compute is refused, since nothing is executed here.
fn unquoted(value: &str) -> Result<String, String> {
    let value = value.trim();
    let (inner, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = &value[1..];
            let end = inner.find(quote).ok_or("the closing quote is missing")?;
            (&inner[..end], &inner[end + 1..])
        }
        _ => match value.find(" #") {
            Some(comment) => (&value[..comment], ""),
            None => (value, ""),
        },
    };
    let rest = rest.trim();
    if !(rest.is_empty() || rest.starts_with('#')) {
        return Err(format!("nothing may stand behind the closing quote, but {rest:?} does"));
    }
    if inner.contains("$(") || inner.contains('`') {
        return Err("commands in it are not executed; write the value itself".into());
    }
    Ok(inner.trim().replace("$HOME/", "~/").replace("${HOME}/", "~/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_set_and_all_else_stays_as_it_was() {
        let store = table::by_key("store").unwrap();
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(with_setting(text, store, "json").as_deref(), expected, "{text:?}");
        };
        check("", Some("store = \"json\"\n"));
        check("# a", Some("store = \"json\"\n# a"));
        check("store = \"sqlite\"", Some("store = \"json\""));
        check("a = 1\r\n  store='sqlite' # b\r\n", Some("a = 1\r\n  store=\"json\" # b\r\n"));
        check("KUGETSU_STORE = \"sqlite\"\n", Some("KUGETSU_STORE = \"json\"\n"));
        check(
            "\"store\" = \"\"\"\nx\"\"\"\n[notify.a]\n",
            Some("\"store\" = \"json\"\n[notify.a]\n"),
        );
        check(
            "# c\n# store = \"sqlite\"\n[notify.a]\nstore = 1\n",
            Some("# c\n# store = \"sqlite\"\nstore = \"json\"\n[notify.a]\nstore = 1\n"),
        );
        check(
            "a = 1\n[notify.a]\n# store = \"sqlite\"\n",
            Some("store = \"json\"\na = 1\n[notify.a]\n# store = \"sqlite\"\n"),
        );
        // What would land inside of a text is not written at all.
        check("a = \"\"\"\n# store = \"x\"\n\"\"\"\n", None);
        check("this is no TOML", None);
        let agents = table::by_key("max_concurrent_agents").unwrap();
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(with_setting(text, agents, "5").as_deref(), expected, "{text:?}");
        };
        check(
            "# many\nmax_concurrent_agents = 3 # now\n",
            Some("# many\nmax_concurrent_agents = 5 # now\n"),
        );
        check("MAX_CONCURRENT_AGENTS = \"3\"", Some("MAX_CONCURRENT_AGENTS = 5"));
        check(
            "# max_concurrent_agents = 3\n",
            Some("# max_concurrent_agents = 3\nmax_concurrent_agents = 5\n"),
        );
    }
}
