use super::record::{Ledger, Recorded};
use super::serve::serve;
use super::stage::Stage;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{self, Handle};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what it expects. Far more than anything takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// A model on loopback that answers as the prompts tell it to; see the [module](crate::model).
///
/// It runs on a thread of its own, so that a test may block, pause its clock or end its runtime.
/// Dropping it closes the port and all connections before it returns.
#[derive(Debug)]
pub struct ScriptedModel {
    address: SocketAddr,
    stage: Arc<Stage>,
    runtime: Handle,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl ScriptedModel {
    /// Starts a model on a free port of the loopback interface.
    pub async fn start() -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts a model on this address. It accepts connections when this returns.
    pub async fn start_on(address: SocketAddr) -> io::Result<Self> {
        Self::over(tokio::net::TcpListener::bind(address).await?.into_std()?)
    }

    /// Starts a model on a free port, for tests without a runtime.
    pub fn start_blocking() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Self::over(listener)
    }

    fn over(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let stage = Stage::new();
        let stop = CancellationToken::new();
        let serving = {
            let (stage, stop) = (Arc::clone(&stage), stop.clone());
            let listener = {
                let _inside = runtime.enter();
                tokio::net::TcpListener::from_std(listener)?
            };
            move || runtime.block_on(serve(listener, stage, stop))
        };
        let thread = thread::Builder::new().name("scripted-model".to_owned()).spawn(serving)?;
        Ok(Self { address, stage, runtime: handle, stop, thread: Some(thread) })
    }

    /// Where an agent finds this model: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All requests so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.stage.journal.watch().borrow().requests.clone()
    }

    /// How many requests are being answered now.
    pub fn in_flight(&self) -> usize {
        self.stage.journal.watch().borrow().in_flight()
    }

    /// The largest number of requests that were ever in flight at once.
    pub fn most_in_flight(&self) -> usize {
        self.stage.journal.watch().borrow().most_in_flight
    }

    /// Opens a gate: answers that wait at `gate NAME` go out, now and from now on.
    pub fn open(&self, gate: &str) {
        self.stage.open(gate);
    }

    /// Waits until the requests so far are as wanted, and returns them.
    ///
    /// # Panics
    ///
    /// If that takes more than two minutes; the message lists what was asked instead.
    pub async fn wait_for(&self, wanted: impl Fn(&[Recorded]) -> bool) -> Vec<Recorded> {
        self.wait(|ledger| wanted(&ledger.requests).then(|| ledger.requests.clone())).await
    }

    /// Waits until `count` requests have arrived, and returns all there are.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for) does.
    pub async fn wait_for_arrivals(&self, count: usize) -> Vec<Recorded> {
        self.wait_for(|requests| requests.len() >= count).await
    }

    /// Waits until `count` requests are in flight at once, and returns all there are.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for) does.
    pub async fn wait_for_in_flight(&self, count: usize) -> Vec<Recorded> {
        let in_flight =
            |requests: &[Recorded]| requests.iter().filter(|r| r.ended.is_none()).count();
        self.wait_for(|requests| in_flight(requests) >= count).await
    }

    /// Waits until `count` requests have ended, and returns all there are.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for) does.
    pub async fn wait_for_ended(&self, count: usize) -> Vec<Recorded> {
        let ended = |requests: &[Recorded]| requests.iter().filter(|r| r.ended.is_some()).count();
        self.wait_for(|requests| ended(requests) >= count).await
    }

    /// Takes a request that has ended out of the record, as soon as there is one.
    ///
    /// Who reads every request this way keeps the record small. It waits without a limit, and may
    /// be dropped at any time without losing a request.
    pub async fn next_ended(&self) -> Recorded {
        let mut ledger = self.stage.journal.watch();
        loop {
            ledger.mark_unchanged();
            if let Some(request) = self.stage.journal.take_ended() {
                return request;
            }
            // The stage holds the sender, so that this cannot fail.
            let _ = ledger.changed().await;
        }
    }

    /// Stops the model and returns the requests on record, each of them ended.
    pub fn stop(mut self) -> Vec<Recorded> {
        self.end();
        self.requests()
    }

    async fn wait<T>(&self, wanted: impl Fn(&Ledger) -> Option<T>) -> T {
        let mut ledger = self.stage.journal.watch();
        // On the model's own runtime, because a test may have paused its clock.
        let alarm = self.runtime.spawn(sleep(PATIENCE));
        let found = {
            let waiting = async {
                loop {
                    if let Some(found) = wanted(&ledger.borrow_and_update()) {
                        return found;
                    }
                    let _ = ledger.changed().await;
                }
            };
            tokio::pin!(alarm);
            tokio::select! {
                found = waiting => Some(found),
                _ = &mut alarm => None,
            }
        };
        found.unwrap_or_else(|| {
            let asked: Vec<String> = self
                .requests()
                .iter()
                .map(|r| format!("#{} {:?}: {:?}", r.number, r.directive, r.ended))
                .collect();
            panic!("the model waited in vain; it was asked {}: {asked:#?}", asked.len())
        })
    }

    fn end(&mut self) {
        self.stage.journal.close();
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        self.end();
    }
}
