//! `servers.json`.

use std::io;
use std::path::Path;

use super::Servers;
use crate::errors::CliError;
use crate::paths;

impl Servers {
    /// Reads the file. Where there is none, there are the servers that `init` begins with. A mistake
    /// is told with file, line and column.
    pub(crate) fn read(file: &Path) -> Result<Self, CliError> {
        match crate::paths::read(file) {
            Ok(text) => Self::parse(file, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::seeded()),
            Err(error) => {
                Err(CliError::config(format!("could not read {}: {error}", file.display())))
            }
        }
    }

    fn parse(file: &Path, text: &str) -> Result<Self, CliError> {
        let wrong = |place: String, why: &str| {
            CliError::config(format!("{}{place}: {why}", file.display()))
                .hint("mend it, or move it away to begin again with github.com")
        };
        if text.trim_start().starts_with('[') {
            return Err(wrong(":1".into(), "a list stands there, expected an object of servers"));
        }
        let servers: Self = serde_json::from_str(text).map_err(|error| {
            let place = format!(":{}:{}", error.line(), error.column());
            let told = error.to_string();
            let why = told.rsplit_once(" at line ").map_or(told.as_str(), |(why, _)| why);
            wrong(place, &without_texts(why))
        })?;
        if let Some(default) = &servers.default
            && !servers.servers.contains_key(default)
        {
            let line = line_of_default(text).map_or(String::new(), |line| format!(":{line}"));
            return Err(wrong(line, &format!("the default {default} is none of the servers")));
        }
        for (name, server) in &servers.servers {
            if !name.is_host() && !super::is_host(server.url.host()) {
                let why =
                    format!("no reference could name {name}: it has neither a dot nor a port");
                return Err(wrong(String::new(), &why));
            }
        }
        Ok(servers)
    }

    /// Changes the file: one process at a time, and as a whole, so that a crash leaves what was or
    /// what is to be. What is not changed is not written.
    pub(crate) fn change<T>(
        file: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let failed = |error| CliError::io(format_args!("write {}", file.display()), &error);
        let _lock = paths::lock_beside(file).map_err(failed)?;
        let before = Self::read(file)?;
        let mut after = before.clone();
        let done = change(&mut after)?;
        if after != before {
            paths::replace(file, &after.text()?).map_err(failed)?;
        }
        Ok(done)
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> Result<String, CliError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| {
            CliError::failed(format!("the servers cannot be written down: {error}"))
        })?;
        Ok(text + "\n")
    }
}

/// The line on which the default stands.
pub(crate) fn line_of_default(text: &str) -> Option<usize> {
    text.lines().position(|line| line.contains("\"default\"")).map(|index| index + 1)
}

/// What the reader complains of without the text that it has found: an address may stand there that
/// has a password in it.
fn without_texts(why: &str) -> String {
    match (why.starts_with("invalid type: string"), why.rsplit_once("\", expected ")) {
        (true, Some((_, expected))) => format!("a text stands there, expected {expected}"),
        _ => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn read(text: &str) -> Result<Servers, String> {
        Servers::parse(&PathBuf::from("servers.json"), text)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut servers = Servers::seeded();
        let mut server = super::super::Server::new("https://git.example.com:3000".parse().unwrap());
        server.kind = Some(crate::args::ServerKind::Gitea);
        server.token = Some("WORK_TOKEN".parse().unwrap());
        servers.add("work".parse().unwrap(), server).unwrap();
        servers.make_default("work".parse().unwrap());
        let text = servers.text().unwrap();
        assert_eq!(read(&text).unwrap(), servers);
        assert_eq!(line_of_default(&text), Some(2));
        assert_eq!(read("{}").unwrap().count(), 0);
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_without_what_may_be_secret() {
        for (text, place, why) in [
            ("{", "servers.json:1:1: ", "EOF"),
            ("[]", "servers.json:1:", "a list"),
            (
                "{\n \"servers\": {\"a.b\": {\"url\": \"http://a.b\"}}}",
                "servers.json:2:",
                "over http",
            ),
            (
                "{\n \"servers\": {\"a.b\": {\"url\": \"https://u:hunter2@a.b\"}}}",
                "servers.json:2:",
                "password",
            ),
            (
                "{\n \"servers\": {\"a.b\": \"https://u:hunter2@a.b\"}}",
                "servers.json:2:",
                "a text stands there",
            ),
            (
                "{\"servers\": {\"a/b\": {\"url\": \"https://a.b\"}}}",
                "servers.json:1:",
                "a server's name",
            ),
            (
                "{\"servers\": {\"a.b\": {\"url\": \"https://a.b\", \"knd\": 1}}}",
                "servers.json:1:",
                "knd",
            ),
            (
                "{\"servers\": {\"a.b\": {\"url\": \"https://a.b\", \"kind\": \"svn\"}}}",
                "servers.json:1:",
                "svn",
            ),
            (
                "{\"servers\": {\"a.b\": {\"url\": \"https://a.b\", \"token\": \"ghp_hunter2\"}}}",
                "servers.json:1:",
                "never the token",
            ),
            ("{\n\n\"default\": \"x.y\"}", "servers.json:3: ", "none of the servers"),
            (
                "{\"servers\": {\"a\": {\"url\": \"https://b\"}}}",
                "servers.json: ",
                "no reference could name a",
            ),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.starts_with(place) && told.contains(why), "{text}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
