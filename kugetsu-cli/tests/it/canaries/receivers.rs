//! Those whom sinks bring notices: a web server and the end of a pipe.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

/// Far more than a notice ever takes; nothing waits for it but a failing test.
const BOUND: Duration = Duration::from_mins(2);

/// What comes in, from a thread that ends with it.
struct Brought {
    pieces: Receiver<Vec<u8>>,
    all: Vec<u8>,
}

impl Brought {
    fn until(&mut self, mut times: usize, is_one: impl Fn(&Value) -> bool) -> Vec<u8> {
        while times > 0 {
            let piece = self.pieces.recv_timeout(BOUND).unwrap_or_else(|error| {
                panic!("{error}, {times} missing in {}", String::from_utf8_lossy(&self.all))
            });
            let body = piece.rsplit(|byte| *byte == b'\r').next().unwrap_or_default();
            times -= usize::from(serde_json::from_slice(body).is_ok_and(|value| is_one(&value)));
            self.all.extend(piece);
        }
        self.all.clone()
    }
}

/// A web server that takes whatever is posted.
pub(super) struct Hook {
    address: SocketAddr,
    brought: Brought,
    thread: Option<JoinHandle<()>>,
}

impl Hook {
    pub(super) fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, pieces) = channel();
        let thread = std::thread::spawn(move || {
            while let Some(request) = listener.accept().ok().and_then(|(from, _)| taken(from)) {
                let _ = tell.send(request);
            }
        });
        Self { address, brought: Brought { pieces, all: Vec::new() }, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// All that was posted, once so many notices are of this kind.
    pub(super) fn until(&mut self, times: usize, is_one: impl Fn(&Value) -> bool) -> Vec<u8> {
        self.brought.until(times, is_one)
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // One that says nothing ends it.
        drop(TcpStream::connect(self.address));
        let _ = self.thread.take().unwrap().join();
    }
}

/// The request, head and body, after it was answered.
fn taken(mut from: TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(from.try_clone().ok()?);
    let (mut request, mut length) = (Vec::new(), 0);
    loop {
        let start = request.len();
        reader.read_until(b'\n', &mut request).ok().filter(|read| *read > 0)?;
        let line = String::from_utf8_lossy(&request[start..]).to_ascii_lowercase();
        if let Some(told) = line.strip_prefix("content-length:") {
            length = told.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.extend(body);
    from.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    Some(request)
}

/// A named pipe, read line by line.
pub(super) struct Pipe {
    path: PathBuf,
    brought: Brought,
    thread: Option<JoinHandle<()>>,
}

impl Pipe {
    pub(super) fn make(path: &Path) -> Self {
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        // Open for writing too, so that it does not end between two writers.
        let pipe = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (tell, pieces) = channel();
        let thread = std::thread::spawn(move || lines(pipe, &tell));
        let brought = Brought { pieces, all: Vec::new() };
        Self { path: path.to_owned(), brought, thread: Some(thread) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All that was written, once so many notices are of this kind.
    pub(super) fn until(&mut self, times: usize, is_one: impl Fn(&Value) -> bool) -> Vec<u8> {
        self.brought.until(times, is_one)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let end = OpenOptions::new().write(true).open(&self.path);
        end.unwrap().write_all(b"\n").unwrap();
        let _ = self.thread.take().unwrap().join();
    }
}

/// Tells each line up to an empty one.
fn lines(pipe: std::fs::File, tell: &Sender<Vec<u8>>) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        if line.is_empty() {
            return;
        }
        let _ = tell.send(line.into_bytes());
    }
}
