//! Where a server is.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest address, in bytes.
const LONGEST: usize = 1000;

/// The address of a server: `https://git.example.com`, with a port and a path if it has them.
///
/// It is read over TLS, but on this machine, where `http` will do. There is no user and no password
/// in it, so it may be shown; and no shown address of a wrong one has them either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Address {
    text: String,
    /// Where the host begins and ends in the text.
    host: (usize, usize),
}

impl Address {
    /// The host, in lower case, with the port unless it is the usual one.
    pub(crate) fn host(&self) -> &str {
        self.text.get(self.host.0..self.host.1).unwrap_or_default()
    }

    /// The path behind the host, empty if it has none.
    pub(crate) fn path(&self) -> &str {
        self.text.get(self.host.1..).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "a server's address is written as https://git.example.com";
        if text.len() > LONGEST || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "the address is too long, or has a space or an odd character in it; {FORM}"
            ));
        }
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let (host, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
        if host.contains('@') {
            return Err(
                "the address has a user or a password in it; leave them out: git's credential \
                        helper and the env files give them"
                    .into(),
            );
        }
        let host = host.to_ascii_lowercase();
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host.as_str(), None),
        };
        let usual = match scheme.to_ascii_lowercase().as_str() {
            "https" => "443",
            "http" if is_loopback(name) => "80",
            "http" => {
                return Err(
                    "over http everybody on the way could read the token and change what is \
                            read; write https (http is for this machine only)"
                        .into(),
                );
            }
            _ => return Err(FORM.into()),
        };
        check_host(name)?;
        if let Some(port) = port
            && (port.starts_with('0')
                || !port.bytes().all(|b| b.is_ascii_digit())
                || port.parse::<u16>().is_err())
        {
            return Err("the address's port is none between 1 and 65535".into());
        }
        let host = if port == Some(usual) { name } else { &host };
        let path = path.trim_end_matches('/');
        let is_step = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~'))
        };
        let is_plain = path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_step));
        if !path.is_empty() && !is_plain {
            return Err(format!("what stands behind the host is no plain path; {FORM}"));
        }
        let scheme = scheme.to_ascii_lowercase();
        let begin = scheme.len() + 3;
        Ok(Self { text: format!("{scheme}://{host}{path}"), host: (begin, begin + host.len()) })
    }
}

fn check_host(name: &str) -> Result<(), String> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() <= 200 && name.split('.').all(label) {
        return Ok(());
    }
    Err("the address's host is no plain name; IPv6 addresses are not understood".into())
}

/// Whether the host is this machine, whatever a name server says.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_one_form() {
        for (text, form, host) in [
            ("https://github.com", "https://github.com", "github.com"),
            ("HTTPS://GitHub.com/", "https://github.com", "github.com"),
            ("https://git.example.com:443", "https://git.example.com", "git.example.com"),
            (
                "https://git.example.com:3000/a/b/",
                "https://git.example.com:3000/a/b",
                "git.example.com:3000",
            ),
            ("http://localhost:3000", "http://localhost:3000", "localhost:3000"),
            ("http://127.8.0.1", "http://127.8.0.1", "127.8.0.1"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.as_str(), address.host()), (form, host), "{text}");
            assert_eq!(form.parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn what_is_unsafe_or_odd_is_refused_and_no_password_is_shown() {
        for text in [
            "",
            "github.com",
            "ssh://git@github.com",
            "https://",
            "https://me:hunter2@github.com",
            "https://ghp_hunter2@github.com",
            "https://github.com\\@evil.example",
            "http://github.com",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://0.0.0.0",
            "https://a..b",
            "https://-a.b",
            "https://a.b:0",
            "https://a.b:99999",
            "https://a.b:",
            "https://a.b/../c",
            "https://a.b//c",
            "https://a.b/c?token=hunter2",
            "https://a.b#hunter2",
            "https://[::1]:3000",
            "https://a b",
            "https://ü.example",
        ] {
            let told = text.parse::<Address>().unwrap_err();
            assert!(!told.contains("hunter2"), "{text}: {told}");
        }
    }
}
