//! Backends with a fault each, and the promise that has to notice it.

mod agents;
mod memos;
mod notices;
mod sessions;
mod slots;
mod tasks;
mod worktrees;

use kugetsu_testkit::suite::Promise;

/// Checks that this promise is broken by the fixture.
async fn assert_bites<F: ?Sized>(promises: &[Promise<F>], name: &str, fixture: &F, fault: &str) {
    let promise = promises.iter().find(|promise| promise.name == name);
    let promise = promise.unwrap_or_else(|| panic!("there is no promise `{name}`"));
    let broken = promise.check(fixture).await;
    let Err(broken) = broken else { panic!("`{name}` does not notice that a backend {fault}") };
    assert_eq!(broken.promise, name);
}
