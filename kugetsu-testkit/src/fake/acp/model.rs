use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

/// Where the scripted model is.
pub(super) struct Model {
    address: String,
    path: String,
}

/// What the model answered.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Value,
}

impl Model {
    /// Reads an address such as `http://127.0.0.1:4096/v1`.
    pub(super) fn at(base_url: &str) -> io::Result<Self> {
        let rest = base_url.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
        let Some((address, path)) = rest else {
            return Err(io::Error::other(format!("{base_url:?} is no address of a model")));
        };
        Ok(Self { address: address.to_owned(), path: format!("/{path}/chat/completions") })
    }

    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect(&self.address)
    }

    /// Asks once. Whoever shuts the connection down meanwhile ends the wait with an error.
    pub(super) fn ask(
        &self,
        mut connection: &TcpStream,
        session: &str,
        messages: &[Value],
    ) -> io::Result<Reply> {
        let body = json!({ "model": "model", "stream": false, "messages": messages }).to_string();
        // By the older version the answer comes in one piece and ends with the connection.
        let head = format!(
            "POST {} HTTP/1.0\r\nhost: {}\r\nx-session-id: {session}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.path,
            self.address,
            body.len()
        );
        connection.write_all(head.as_bytes())?;
        connection.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let broken = || io::Error::other("the model's answer broke off");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let retry_after = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("retry-after").then(|| value.trim().to_owned())
        });
        Ok(Reply {
            status: status.ok_or_else(broken)?,
            retry_after,
            body: serde_json::from_str(body).map_err(|_| broken())?,
        })
    }
}
