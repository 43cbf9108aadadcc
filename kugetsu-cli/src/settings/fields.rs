//! The values of a table of `config.toml`, each with where it stands.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use crate::errors::CliError;

/// A text with where it stands, for what turns out to be wrong with it later.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    at: String,
}

impl Text {
    /// What is wrong with it.
    pub(crate) fn wrong(&self, why: impl std::fmt::Display) -> CliError {
        CliError::config(format!("{}: {why}", self.at))
    }
}

/// The values of a table such as `[notify.phone]`, which are taken out one by one.
pub(super) struct Fields<'a> {
    /// What kind of table, such as `notify`.
    family: &'static str,
    name: &'a str,
    place: &'a str,
    at: &'a dyn Fn(usize) -> String,
    values: BTreeMap<String, Spanned<DeValue<'a>>>,
}

impl<'a> Fields<'a> {
    /// The values of the table `[family.name]`, which stands at `place`.
    pub(super) fn of(
        (family, name, place): (&'static str, &'a str, &'a str),
        value: Spanned<DeValue<'a>>,
        at: &'a dyn Fn(usize) -> String,
    ) -> Result<Self, CliError> {
        let wrong = |why: &str| CliError::config(format!("{place}: {family}.{name}: {why}"));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_name) {
            return Err(wrong("a name has up to 40 letters, digits, - and _"));
        }
        let DeValue::Table(table) = value.into_inner() else {
            return Err(wrong("it has to be a table"));
        };
        let values = table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), value));
        Ok(Self { family, name, place, at, values: values.collect() })
    }

    /// What is wrong with the table.
    pub(super) fn wrong(&self, why: &str) -> CliError {
        let Self { family, name, place, .. } = self;
        CliError::config(format!("{place}: {family}.{name}: {why}"))
    }

    /// The value with the words that name it in an error.
    pub(super) fn take(&mut self, key: &str) -> Option<(String, DeValue<'a>)> {
        let value = self.values.remove(key)?;
        let at = (self.at)(value.span().start);
        Some((format!("{at}: {}.{}.{key}", self.family, self.name), value.into_inner()))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<Text>, CliError> {
        let Some((at, value)) = self.take(key) else { return Ok(None) };
        let text = text(&at, &value)?;
        Ok(Some(Text { text, at }))
    }

    pub(super) fn needed(&mut self, key: &str) -> Result<Text, CliError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// The name of a variable. What is none may be the secret itself, and is not repeated.
    pub(super) fn variable(&mut self, key: &str) -> Result<Text, CliError> {
        let name = self.needed(key)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = name.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if begins && name.text.chars().all(is_name) {
            return Ok(name);
        }
        Err(name.wrong("it has to be the name of a variable, not the secret itself"))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool, CliError> {
        match self.take(key) {
            None => Ok(false),
            Some((_, DeValue::Boolean(flag))) => Ok(flag),
            Some((at, _)) => Err(CliError::config(format!("{at}: it has to be true or false"))),
        }
    }

    /// Variables with their values, for a program.
    pub(super) fn variables(&mut self, key: &str) -> Result<BTreeMap<String, String>, CliError> {
        let Some((at, value)) = self.take(key) else { return Ok(BTreeMap::new()) };
        let wrong = |why: &str| CliError::config(format!("{at}: {why}"));
        let DeValue::Table(rows) = value else {
            return Err(wrong("write it as { NAME = \"value\" }"));
        };
        let row = |(name, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
            let name = name.into_inner().into_owned();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(wrong(&format!("{name:?} is no name of a variable")));
            }
            let value = text(&format!("{at}.{name}"), value.get_ref())?;
            Ok((name, value))
        };
        rows.into_iter().map(row).collect()
    }

    pub(super) fn program(&mut self) -> Result<Vec<String>, CliError> {
        let program = self.list("program", text)?.ok_or_else(|| self.missing("program"))?;
        if program.is_empty() { Err(self.missing("program")) } else { Ok(program) }
    }

    pub(super) fn list<T>(
        &mut self,
        key: &str,
        read: impl Fn(&str, &DeValue<'_>) -> Result<T, CliError>,
    ) -> Result<Option<Vec<T>>, CliError> {
        let Some((at, value)) = self.take(key) else { return Ok(None) };
        let DeValue::Array(values) = value else {
            return Err(CliError::config(format!("{at}: it has to be a list: [ ... ]")));
        };
        values.iter().map(|value| read(&at, value.get_ref())).collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn missing(&self, key: &str) -> CliError {
        self.wrong(&format!("`{key}` is missing"))
    }

    /// Refuses what is none of these.
    pub(super) fn only(&self, what: &str, own: &[&str]) -> Result<(), CliError> {
        let strange = self.values.iter().find(|(key, _)| !own.contains(&key.as_str()));
        let Some((key, value)) = strange else { return Ok(()) };
        let at = (self.at)(value.span().start);
        let why = format!("{at}: {}.{}: {what} has no `{key}`", self.family, self.name);
        Err(CliError::config(why).hint(format!("it has {}", own.join(", "))))
    }
}

/// Reads each of the tables `[family.NAME]`. `at` says where an offset is.
pub(super) fn tables<T>(
    family: &'static str,
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
    read: impl Fn(&str, Fields<'_>) -> Result<T, CliError>,
) -> Result<Vec<T>, CliError> {
    let offset = value.span().start;
    let DeValue::Table(all) = value.into_inner() else {
        let why = format!("it has to be a table for each, such as [{family}.NAME]");
        return Err(CliError::config(format!("{}: {family}: {why}", at(offset))));
    };
    let table = |(name, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
        let place = at(name.span().start);
        let name = name.into_inner().into_owned();
        let fields = Fields::of((family, &name, &place), value, at)?;
        read(&name, fields)
    };
    all.into_iter().map(table).collect()
}

/// A text that is not empty and holds nothing that acts on a terminal.
pub(super) fn text(at: &str, value: &DeValue<'_>) -> Result<String, CliError> {
    let wrong = |why: &str| CliError::config(format!("{at}: {why}"));
    match value.as_str().map(str::trim) {
        None => Err(wrong("it has to be a text")),
        Some("") => Err(wrong("it is empty")),
        Some(text) if text.chars().any(char::is_control) => {
            Err(wrong("it has a control character in it"))
        }
        Some(text) => Ok(text.to_owned()),
    }
}
