//! The daemon as a process, where no agent is ever needed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::desk::{Desk, ISSUE, initialised};

/// The daemon, which is killed with whoever drops it.
pub(crate) struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    fn spawn(desk: &Desk, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kugetsu"));
        command
            .args(["queue-daemon", "run"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", desk.path("home"))
            .env("KUGETSU_DIR", desk.kugetsu(""))
            .env("KUGETSU_OPENCODE", "/nonexistent/opencode")
            // However little room there is where these tests run.
            .env("KUGETSU_MEMORY_RESERVE_MB", "0")
            .env("KUGETSU_DISK_RESERVE_MB", "0")
            .envs(variables.iter().copied())
            .current_dir(desk.path("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Waits until it serves. `None` if it ended instead.
    fn ready(&mut self) -> Option<()> {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        (line.trim() == "ready").then_some(())
    }

    pub(crate) fn started(desk: &Desk, variables: &[(&str, &str)]) -> Self {
        let mut daemon = Self::spawn(desk, variables);
        if daemon.ready().is_none() {
            let (code, said) = daemon.ended();
            panic!("{code:?}: {said}");
        }
        daemon
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.0.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    }

    /// How it ended and what it said.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code(), said)
    }

    /// How much it has computed, in clock ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// How often each of its threads has gone to sleep.
    fn sleeps(&self) -> BTreeMap<OsString, u64> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let sleeps = threads.flatten().filter_map(|thread| {
            let status = std::fs::read_to_string(thread.path().join("status")).ok()?;
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            Some((thread.file_name(), line.trim().parse().ok()?))
        });
        sleeps.collect()
    }
}

#[test]
fn of_twenty_daemons_at_once_exactly_one_stays() {
    let desk = initialised();
    let mut daemons: Vec<Daemon> = (0..20).map(|_| Daemon::spawn(&desk, &[])).collect();
    let mut stay: Vec<Daemon> = Vec::new();
    for mut daemon in daemons.drain(..) {
        if daemon.ready().is_some() {
            stay.push(daemon);
            continue;
        }
        let (code, said) = daemon.ended();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("the daemon is already running: process "), "{said}");
    }
    assert_eq!(stay.len(), 1);
    let began = Instant::now();
    let (code, said) = Daemon::spawn(&desk, &[]).ended();
    println!("the second daemon gave up after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10));
    let pid = stay[0].0.id();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("already running: process {pid} since ")), "{said}");
    let told = desk.run(&["queue-daemon", "status", "--json"]).done().json();
    assert_eq!(
        (told["daemon"].as_str(), told["pid"].as_u64()),
        (Some("running"), Some(pid.into()))
    );
    assert!(told["since"].as_str().unwrap().ends_with('Z'), "{told}");
    let why = desk.run(&["why", ISSUE, "--json"]).done().json();
    let daemon = why["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == "daemon");
    assert_eq!(daemon.unwrap()["state"]["state"], "open", "{why}");
    let daemon = stay.pop().unwrap();
    daemon.terminate();
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
}

/// What the service manager hears next.
fn heard(socket: &UnixDatagram) -> String {
    let mut said = [0; 4096];
    let length = socket.recv(&mut said).unwrap();
    String::from_utf8(said[..length].to_vec()).unwrap()
}

#[test]
fn the_service_manager_hears_that_it_is_ready_lives_and_ends() {
    let desk = initialised();
    let path = desk.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let path = path.to_str().unwrap();
    let daemon = Daemon::started(&desk, &[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "400000")]);
    // It may live before it is said to be ready.
    let mut said = heard(&socket);
    while said == "WATCHDOG=1\n" {
        said = heard(&socket);
    }
    assert_eq!(said, "READY=1\nSTATUS=carries out what is queued\n");
    for _ in 0..5 {
        assert_eq!(heard(&socket), "WATCHDOG=1\n");
    }
    daemon.terminate();
    while said == "WATCHDOG=1\n" || said.starts_with("READY") {
        said = heard(&socket);
    }
    assert!(said.starts_with("STOPPING=1\nSTATUS="), "{said}");
    assert_eq!(daemon.ended().0, Some(0));
}

#[test]
fn without_a_watchdog_nobody_is_told_that_it_lives() {
    let desk = initialised();
    let path = desk.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let watched_by_another = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "400000"),
        ("WATCHDOG_PID", "1"),
    ];
    let daemon = Daemon::started(&desk, &watched_by_another);
    assert!(heard(&socket).starts_with("READY=1\n"));
    daemon.terminate();
    assert!(heard(&socket).starts_with("STOPPING=1\n"));
    assert_eq!(daemon.ended().0, Some(0));
}

/// Not a wait for something: it is measured how little happens.
#[test]
fn an_idle_daemon_does_as_good_as_nothing() {
    const MEASURED: Duration = Duration::from_secs(20);
    let desk = initialised();
    let daemon = Daemon::started(&desk, &[]);
    let (ticks, sleeps) = (daemon.ticks(), daemon.sleeps());
    std::thread::sleep(MEASURED);
    let ticks = daemon.ticks() - ticks;
    let before = |thread| sleeps.get(thread).copied().unwrap_or(0);
    let switches: u64 = daemon.sleeps().iter().map(|(thread, now)| now - before(thread)).sum();
    println!("idle for {MEASURED:?}: {ticks} ticks, {switches} voluntary switches");
    // 0.2 % of 20 s is 40 ms.
    assert!(ticks <= 4, "{ticks} ticks of 10 ms");
    assert!(switches < 200, "{switches} switches");
}

#[test]
fn old_settled_tasks_are_forgotten_when_the_daemon_starts() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say done"]).done();
    let mut daemon = Daemon::started(&desk, &[("QUEUE_CLEANUP_AGE_DAYS", "0.00000001")]);
    let mut said = String::new();
    let mut lines = BufReader::new(daemon.0.stderr.as_mut().unwrap());
    while !said.contains("forgot 1 old settled task") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let told = desk.run(&["queue", "list", "--json"]).done().json();
    assert_eq!(told["tasks"].as_array().unwrap().len(), 0, "{told}");
}

#[test]
fn a_half_made_worktree_is_told_when_the_daemon_starts() {
    let desk = initialised();
    let half = desk.kugetsu("worktrees/.example.com-acme-widgets-7.new");
    std::fs::create_dir_all(desk.kugetsu("repos")).unwrap();
    std::fs::create_dir_all(half.join("src")).unwrap();
    let daemon = Daemon::started(&desk, &[]);
    daemon.terminate();
    let (_, said) = daemon.ended();
    assert!(said.contains("worktree example.com-acme-widgets-7: it was only half made"), "{said}");
    assert!(!half.exists());
}

/// A directory with a `systemctl` in it that notes what it is asked.
fn systemctl(desk: &Desk, code: u8) -> String {
    let bin = desk.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = bin.join("systemctl");
    let asked = desk.path("asked");
    let text =
        format!("#!/bin/sh\necho \"$@\" >> '{}'\necho no bus >&2\nexit {code}\n", asked.display());
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn the_unit_is_written_once_and_an_other_one_is_not_overwritten() {
    let bare = initialised();
    let path = systemctl(&bare, 0);
    let desk = bare.with("PATH", &path);
    let written = desk.run(&["queue-daemon", "install", "--user"]).shown();
    let unit = desk.path("home/.config/systemd/user/kugetsu.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    assert!(
        text.contains(
            &format!("KUGETSU_DIR={}", desk.kugetsu("").display()).trim_end_matches('/').to_owned()
        ),
        "{text}"
    );
    assert!(text.contains(&format!("\"PATH={path}\"")), "{text}");
    let again = desk.run(&["queue-daemon", "install", "--user"]).done();
    std::fs::write(&unit, "[Unit]\n").unwrap();
    let refused = desk.run(&["queue-daemon", "install", "--user"]).shown();
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), "[Unit]\n");
    assert!(!desk.path("asked").exists());
    let forced = desk.run(&["queue-daemon", "install", "--user", "--force", "--now"]).shown();
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), text);
    assert_eq!(
        std::fs::read_to_string(desk.path("asked")).unwrap(),
        "--user daemon-reload\n--user enable --now kugetsu.service\n"
    );
    let printed = desk.run(&["queue-daemon", "install", "--print"]).done();
    assert_eq!(printed.out, text);
    assert_eq!(again.code, 0);
    desk.assert("install", &[written, refused, forced].join("\n"));
}

#[test]
fn a_systemctl_that_fails_is_told_and_the_unit_stays() {
    let bare = initialised();
    let path = systemctl(&bare, 1);
    let desk = bare.with("PATH", &path);
    let failed = desk.run(&["queue-daemon", "install", "--user", "--now"]);
    assert_eq!(failed.code, 1, "{}", failed.shown());
    assert!(
        failed.err.contains("`systemctl --user daemon-reload` failed: no bus"),
        "{}",
        failed.err
    );
    assert!(desk.path("home/.config/systemd/user/kugetsu.service").exists());
    let bare = crate::desk::desk();
    assert_eq!(bare.run(&["queue-daemon", "install", "--print"]).code, 78);
}
