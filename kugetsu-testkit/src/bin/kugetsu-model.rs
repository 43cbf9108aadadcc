//! The scripted model as a program; see `kugetsu_testkit::model` for what prompts can say.

use kugetsu_testkit::model::{Recorded, ScriptedModel};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

const HELP: &str = "\
A model on loopback whose answers are written in the prompts.

Usage: kugetsu-model [OPTIONS]

Options:
  --port N          Listen on this port of 127.0.0.1 [default: 0, a free one]
  --port-file FILE  Write the port to FILE once connections are accepted
  --log FILE        Append a JSON line to FILE for each request that has ended
  --with-parent     End when standard input is closed
  --help            Print this

It prints `listening on URL` and serves until SIGTERM or SIGINT.
A prompt says what to answer: `MODEL: write a.txt hello ;; commit add a ;; say done`.
";

#[derive(Debug, Default)]
struct Options {
    port: u16,
    port_file: Option<PathBuf>,
    log: Option<PathBuf>,
    with_parent: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("kugetsu-model: {why}\nhint: `kugetsu-model --help` lists the options");
            return ExitCode::from(2);
        }
    };
    match serve(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kugetsu-model: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let stop = stop_token(options.with_parent)?;
    let mut log = options.log.as_deref().map(Log::open).transpose()?;
    let address = (Ipv4Addr::LOCALHOST, options.port).into();
    let model = ScriptedModel::start_on(address)
        .await
        .map_err(|error| about(&format!("cannot listen on port {}", options.port), &error))?;
    if let Some(file) = &options.port_file {
        write_whole(file, &format!("{}\n", model.port()))
            .map_err(|error| about(&format!("cannot write {}", file.display()), &error))?;
    }
    writeln!(io::stdout(), "listening on {}", model.base_url())?;
    // Every request is taken out of the record, which would otherwise grow for ever.
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => break,
            ended = model.next_ended() => ended,
        };
        if let Some(log) = &mut log {
            log.write(&ended)?;
        }
    }
    let unfinished = model.stop();
    log.iter_mut().try_for_each(|log| unfinished.iter().try_for_each(|ended| log.write(ended)))
}

impl Options {
    /// Reads the command line. `None` asks for the help.
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let argument = argument.to_string_lossy().into_owned();
            let (name, mut given) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (argument.as_str(), None),
            };
            let mut value =
                || given.take().or_else(|| arguments.next()).ok_or(format!("{name} needs a value"));
            match name {
                "--help" | "-h" => return Ok(None),
                "--port" => options.port = port(&value()?)?,
                "--port-file" => options.port_file = Some(value()?.into()),
                "--log" => options.log = Some(value()?.into()),
                "--with-parent" => options.with_parent = true,
                _ => return Err(format!("there is no option {argument}")),
            }
            if given.is_some() {
                return Err(format!("{name} takes no value"));
            }
        }
        Ok(Some(options))
    }
}

/// One JSON line for each request.
struct Log(File);

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map(Self).map_err(|error| about(&format!("cannot open {}", path.display()), &error))
    }

    fn write(&mut self, request: &Recorded) -> io::Result<()> {
        let line = serde_json::to_string(request)?;
        self.0
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|error| about("cannot write the log", &error))
    }
}

/// A token that is cancelled by SIGTERM, by SIGINT and, if asked, by the end of standard input.
fn stop_token(with_parent: bool) -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signal = signal(kind)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signal.recv().await;
            stop.cancel();
        });
    }
    if with_parent {
        let stop = stop.clone();
        std::thread::spawn(move || {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            stop.cancel();
        });
    }
    Ok(stop)
}

/// Writes a file so that whoever sees it sees all of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let new = PathBuf::from(name);
    fs::write(&new, text)?;
    fs::rename(&new, path).inspect_err(|_| drop(fs::remove_file(&new)))
}

fn port(value: &OsStr) -> Result<u16, String> {
    let value = value.to_string_lossy();
    value.parse().map_err(|_| format!("--port takes a number from 0 to 65535, not `{value}`"))
}

fn about(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
