//! Admission: a start waits for room on the machine, says why, and goes on by itself.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kugetsu_core::{Clock, Request, SlotKey, SlotPool, Status, TaskQuery};
use kugetsu_queue::gates::{GateName, GateState, Situation, gates};
use kugetsu_queue::{Admission, Engine, HoldKind, Look, Machine, StartError, ThisMachine, Wait};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::serve::{Site, drained, issue, serve, settled};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A machine that has what it is told to have, and remembers how little it had when it was looked at.
#[derive(Debug, Clone, Default)]
struct Toy(Arc<Mutex<Look>>);

impl Toy {
    fn has(&self, look: Look) {
        *self.0.lock().unwrap() = look;
    }
}

impl Machine for Toy {
    fn look(&self) -> Look {
        self.0.lock().unwrap().clone()
    }
}

fn memory(available: u64) -> Look {
    Look::default().with_memory(available, 24 * GIB)
}

/// A site whose engine looks at this machine.
async fn site(look: Look) -> (Site, Toy) {
    let mut site = Site::new().await;
    let machine = Toy::default();
    machine.has(look);
    site.engine = site.engine.with_admission(Some(Admission::new(machine.clone())));
    (site, machine)
}

async fn told(engine: &Engine) -> Option<String> {
    let holds = engine.holds().active().await.unwrap().into_iter();
    holds.filter(|hold| hold.kind == HoldKind::Room).map(|hold| hold.reason).next()
}

/// Waits, without a limit, until somebody says that they wait, or do not.
async fn until_told(engine: &Engine, waits: bool) {
    while told(engine).await.is_some() != waits {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_start_waits_for_memory_says_so_spends_nothing_and_goes_on_by_itself() {
    let (site, machine) = site(memory(300 * MIB)).await;
    let task = site.enqueue(1, "MODEL: say done").await;
    let pm = site.engine.queue().task(Request::pm("MODEL: say hello"));
    site.engine.queue().enqueue(&pm).await.unwrap();
    let serving = serve(&site.engine);
    until_told(&site.engine, true).await;
    assert_eq!(told(&site.engine).await.unwrap(), "memory 300 MiB free, 512 MiB wanted");
    // Looking again and again starts nothing, the PM neither, and keeps no slot.
    for _ in 0..20 {
        site.clock.until_asleep(2).await;
        assert!(site.slots.holders(&SlotKey::Dev).await.unwrap().is_empty());
        site.clock.advance(Duration::from_secs(2));
    }
    site.clock.until_asleep(2).await;
    assert_eq!(site.agent.runs().len(), 0);
    for id in [task.id, pm.id] {
        assert!(site.engine.queue().load(id).await.unwrap().attempts.is_empty());
    }
    machine.has(memory(4 * GIB));
    site.clock.advance(Duration::from_secs(2));
    for id in [task.id, pm.id] {
        let task = settled(&site.engine, id).await;
        assert_eq!((task.status(), task.attempts.len()), (Status::Completed, 1), "{task:?}");
    }
    until_told(&site.engine, false).await;
    // Nobody waits, so nobody looks: the two halves sleep until somebody tells them of work.
    site.clock.until_asleep(2).await;
    let now = site.clock.tick();
    for wakes in site.clock.asleep() {
        assert!(wakes.since(now).unwrap() > Duration::from_mins(1), "{wakes:?} {now:?}");
    }
    drained(serving).await;
}

#[tokio::test]
async fn each_want_is_told_by_its_name_and_what_cannot_be_seen_is_in_nobodys_way() {
    let full = |free| Look::default().with_disk("/srv/worktrees", 50 * GIB).with_disk("/srv", free);
    let calm = |percent| memory(8 * GIB).with_pressure(percent);
    for (look, lack) in [
        (memory(511 * MIB), Some("memory 511 MiB free, 512 MiB wanted")),
        (memory(512 * MIB), None),
        (calm(19.9), None),
        (calm(63.4), Some("memory is waited for 63 % of the time, less than 20 % wanted")),
        (full(2 * GIB - 1), Some("disk 1.9 GiB free at /srv, 2.0 GiB wanted")),
        (full(2 * GIB), None),
        (Look::default(), None),
    ] {
        let machine = Toy::default();
        machine.has(look.clone());
        let found = Admission::new(machine).lack(false).map(|lack| lack.to_string());
        assert_eq!(found.as_deref(), lack, "{look:?}");
    }
}

#[tokio::test]
async fn a_small_machine_starts_a_first_agent_and_a_server_that_is_up_needs_less() {
    let lacks = |available: u64, total: u64, is_warm: bool| {
        let machine = Toy::default();
        machine.has(Look::default().with_memory(available, total));
        Admission::new(machine).lack(is_warm).is_some()
    };
    // 24 GiB under test, 2 GiB, and 1 GiB, of which the server then has taken its part.
    assert!(lacks(500 * MIB, 24 * GIB, false) && !lacks(512 * MIB, 24 * GIB, false));
    assert!(lacks(500 * MIB, 2 * GIB, false) && !lacks(512 * MIB, 2 * GIB, false));
    assert!(lacks(250 * MIB, GIB, false) && !lacks(256 * MIB, GIB, false));
    assert!(lacks(60 * MIB, GIB, true) && !lacks(64 * MIB, GIB, true));
    // What was set is meant, whatever the machine is like; 0 looks at no memory.
    let poor = Toy::default();
    poor.has(Look::default().with_memory(MIB, GIB).with_pressure(90.0));
    assert!(Admission::new(poor.clone()).with_memory(4 * GIB).lack(true).is_some());
    assert!(Admission::new(poor).with_memory(0).lack(false).is_none());
    let full = Toy::default();
    full.has(Look::default().with_disk("/", 0));
    assert!(Admission::new(full).with_disk(0).lack(false).is_none());
}

#[tokio::test]
async fn who_was_just_admitted_still_needs_its_memory() {
    let (site, _machine) = site(memory(700 * MIB)).await;
    let (one, two) = (
        site.enqueue(1, "MODEL: gate go\nMODEL: say done").await,
        site.enqueue(2, "MODEL: say done").await,
    );
    let serving = serve(&site.engine);
    // There is room for one of them, and a place for both.
    site.agent.until_at_work(1).await;
    until_told(&site.engine, true).await;
    assert_eq!(told(&site.engine).await.unwrap(), "memory 700 MiB free, 1.0 GiB wanted");
    assert_eq!(site.agent.runs().len(), 1);
    // After a while what is available is what the first one has left.
    let done = site.passing(settled(&site.engine, two.id)).await;
    assert_eq!(done.status(), Status::Completed);
    site.agent.open("go");
    settled(&site.engine, one.id).await;
    drained(serving).await;
}

#[tokio::test]
async fn who_runs_is_never_stopped_for_want_of_room() {
    let (site, machine) = site(memory(8 * GIB)).await;
    let task = site.enqueue(1, "MODEL: gate go\nMODEL: say done").await;
    let serving = serve(&site.engine);
    site.agent.until_at_work(1).await;
    machine.has(memory(0).with_pressure(99.0).with_disk("/", 0));
    let next = site.enqueue(2, "MODEL: say done").await;
    until_told(&site.engine, true).await;
    site.agent.open("go");
    let task = settled(&site.engine, task.id).await;
    assert_eq!((task.status(), task.attempts.len()), (Status::Completed, 1));
    assert_eq!(site.agent.runs().len(), 1, "no agent starts below the reserve");
    machine.has(Look::default());
    let next = site.passing(settled(&site.engine, next.id)).await;
    assert_eq!(next.status(), Status::Completed);
    drained(serving).await;
}

#[tokio::test]
async fn a_start_by_hand_is_refused_or_waits_as_it_was_asked_to() {
    let (site, machine) = site(memory(8 * GIB).with_disk("/srv", GIB)).await;
    let (engine, stop) = (&site.engine, CancellationToken::new());
    let start = |wait| {
        let request = Request::dev(issue(1), "MODEL: say done");
        engine.start(request, wait, stop.clone(), |_| {})
    };
    let refused = start(Wait::No).await.unwrap_err();
    assert!(matches!(refused, StartError::NoRoom { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "disk 1.0 GiB free at /srv, 2.0 GiB wanted");
    let refused = site.passing(start(Wait::For(Duration::from_secs(9)))).await.unwrap_err();
    assert!(matches!(refused, StartError::NoRoom { .. }), "{refused:?}");
    assert!(engine.queue().store().list(&TaskQuery::all()).await.unwrap().is_empty());

    let mut waiting = Box::pin(start(Wait::Forever));
    tokio::select! {
        ended = &mut waiting => panic!("{ended:?}"),
        () = site.clock.until_asleep(1) => {}
    }
    assert!(site.slots.holders(&SlotKey::Dev).await.unwrap().is_empty(), "it keeps no place");
    assert!(site.slots.holders(&SlotKey::Issue(issue(1))).await.unwrap().is_empty());
    machine.has(Look::default());
    let task = site.passing(waiting).await.unwrap();
    assert_eq!((task.status(), task.attempts.len()), (Status::Completed, 1));
}

#[tokio::test]
async fn what_waits_for_room_is_a_gate_that_says_so() {
    let (site, _machine) = site(memory(MIB)).await;
    let task = site.enqueue(1, "MODEL: say done").await;
    let serving = serve(&site.engine);
    until_told(&site.engine, true).await;
    let mut seen = Situation::new(site.clock.moment(), 2);
    seen.task = Some(task);
    seen.holds = site.engine.holds().active().await.unwrap();
    let gates = gates(&seen);
    let last = gates.last().unwrap();
    assert_eq!(last.name, GateName::Room);
    let GateState::Closed { waits_for, opens, .. } = &last.state else { panic!("{last:?}") };
    assert_eq!(waits_for, "waiting: memory 1 MiB free, 512 MiB wanted");
    assert!(opens.contains("by itself"), "{opens}");
    drained(serving).await;
    // Who waited and is not heard of any more is not believed for ever.
    site.clock.advance(Duration::from_mins(3));
    assert_eq!(told(&site.engine).await, None);
}

/// Files as the kernel has them, below a directory.
fn below(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

const MEMINFO: &str = "MemTotal: 4194304 kB\nMemFree: 100 kB\nMemAvailable: 2097152 kB\n";
const PRESSURE: &str =
    "some avg10=12.50 avg60=1.00 avg300=0.00 total=9\nfull avg10=3.00 avg60=0.00\n";

#[test]
fn a_machine_is_what_the_kernel_and_the_narrowest_cgroup_say() {
    let stat = "cache 1\ninactive_file 104857600\ntotal_inactive_file 209715200\n";
    let two = ("proc/self/cgroup", "0::/user/kugetsu\n");
    let one = ("proc/self/cgroup", "9:name=systemd:/\n6:cpu,memory:/kugetsu\n1:pids:/x\n");
    let v2 = |inner: &'static str, outer: &'static str| {
        vec![
            ("proc/meminfo", MEMINFO),
            two,
            ("sys/fs/cgroup/user/kugetsu/memory.max", inner),
            ("sys/fs/cgroup/user/kugetsu/memory.current", "419430400\n"),
            ("sys/fs/cgroup/user/kugetsu/memory.stat", stat),
            ("sys/fs/cgroup/user/memory.max", outer),
            ("sys/fs/cgroup/user/memory.current", "943718400\n"),
        ]
    };
    let v1 = |at: &'static str, limit: &'static str| {
        let path = |name: &str| format!("sys/fs/cgroup/memory/{at}{name}").leak() as &str;
        vec![
            ("proc/meminfo", MEMINFO),
            one,
            (path("memory.limit_in_bytes"), limit),
            (path("memory.usage_in_bytes"), "838860800\n"),
            (path("memory.stat"), stat),
        ]
    };
    let whole = Some((2 * GIB, 4 * GIB));
    for (name, files, expected) in [
        ("a machine", vec![("proc/meminfo", MEMINFO)], whole),
        ("nothing known", vec![], None),
        ("no limit", v2("max\n", "max\n"), whole),
        ("the inner limit", v2("524288000\n", "max\n"), Some((200 * MIB, 500 * MIB))),
        ("the outer limit", v2("524288000\n", "1048576000\n"), Some((100 * MIB, 500 * MIB))),
        ("version 1", v1("kugetsu/", "1048576000\n"), Some((400 * MIB, 1000 * MIB))),
        ("version 1, no limit", v1("kugetsu/", "9223372036854771712\n"), whole),
        ("the host's path in a container", v1("", "1048576000\n"), Some((400 * MIB, 1000 * MIB))),
        ("text", vec![("proc/meminfo", "MemTotal: much\nMemAvailable:\n")], None),
    ] {
        let root = TempDir::with_prefix("kugetsu-machine-").unwrap();
        below(root.path(), &files);
        let look = ThisMachine::new([]).at(root.path()).look();
        let seen = look.memory.map(|memory| (memory.available, memory.total));
        assert_eq!(seen, expected, "{name}");
        assert_eq!(look.pressure, None, "{name}");
        below(root.path(), &[("proc/pressure/memory", PRESSURE)]);
        let look = ThisMachine::new([]).at(root.path()).look();
        assert_eq!(look.pressure, Some(12.5), "{name}");
    }
}

#[test]
fn this_machine_has_memory_and_the_disk_of_a_place_that_is_not_made_yet() {
    let root = TempDir::with_prefix("kugetsu-machine-").unwrap();
    let look = ThisMachine::new([root.path().join("not/made/yet")]).look();
    let memory = look.memory.unwrap();
    assert!(memory.available <= memory.total && memory.total > 0, "{look:?}");
    assert_eq!(look.disks.len(), 1);
    assert!(look.disks[0].free > 0, "{look:?}");
}
