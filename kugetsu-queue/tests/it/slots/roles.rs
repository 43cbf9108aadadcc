//! What other processes do with slots.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kugetsu_core::SlotPool;
use tokio::task::JoinSet;

use super::{issue, open, take, try_take};
use crate::process::{say, told};

/// Does with one slot of as many as the first line says what the next lines tell.
pub(crate) async fn holder(home: &Path) {
    let pool = open(home, told().unwrap().parse().unwrap());
    let mut slot = None;
    let mut heir: Option<Child> = None;
    while let Some(command) = told() {
        match command.as_str() {
            "try" => slot = try_take(&pool).await,
            // Says so first: the answer comes when it has got one.
            "wait" => {
                say("waiting");
                slot = Some(take(&pool).await);
            }
            "release" => slot = None,
            // Lets a process of its own inherit the slot: one that ends with this test's directory.
            "bequeath" => {
                let file = slot.as_ref().unwrap().file().unwrap().try_clone_to_owned().unwrap();
                let fifo = File::open(home.join("heir-lives")).unwrap();
                let cat =
                    Command::new("cat").stdin(fifo).stdout(Stdio::null()).stderr(file).spawn();
                heir = Some(cat.unwrap());
            }
            other => panic!("there is no command {other}"),
        }
        say(&slot.as_ref().map_or("none".to_owned(), |slot| format!("slot {}", slot.index())));
    }
    drop(heir);
}

/// Sixteen tasks that wait for one of three slots again and again, and check with a canary that no
/// more than three of them, and of all who do the same, hold one.
pub(crate) async fn crowd(home: &Path) {
    let pool = open(home, 3);
    let rounds: u32 = told().unwrap().parse().unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (pool, home) = (pool.clone(), home.to_owned());
        tasks.spawn(async move {
            for _ in 0..rounds {
                let slot = take(&pool).await;
                let (index, canary) = lowest_canary(&home);
                assert!(index < 3, "{} agents are alive", index + 1);
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
                // Canary first: whoever gets the slot next must find it free.
                drop(canary);
                drop(slot);
                say("round");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    say("done");
}

/// The lock of the first free of ten files, which the kernel frees with its process.
fn lowest_canary(home: &Path) -> (u32, File) {
    for index in 0..10 {
        let file = File::create(home.join(format!("canary-{index}"))).unwrap();
        if file.try_lock().is_ok() {
            return (index, file);
        }
    }
    panic!("ten agents are alive");
}

/// Takes and releases the slots of 300 issues, and says how many files it has open before and after.
pub(crate) async fn passer_by(home: &Path) {
    let pool = open(home, 3);
    let pass = async |numbers: std::ops::Range<u64>| {
        for number in numbers {
            let slot = pool.try_acquire(&issue(number), "a passer-by").await.unwrap().unwrap();
            drop(slot);
        }
        fs::read_dir("/proc/self/fd").unwrap().count()
    };
    let before = pass(1..10).await;
    let after = pass(10..310).await;
    say(&format!("{before} {after}"));
}
