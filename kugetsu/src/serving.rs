//! Carrying out what is queued.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use kugetsu_queue::deliver::SinkNews;
use kugetsu_queue::{Recovered, ServeError, Shutdown};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::embedded::{EmbedError, Kugetsu};

/// What a program that runs may want to say, and what nobody has to act on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Trouble {
    /// Something went wrong with the queue. It is tried again after a pause.
    Serving(ServeError),
    /// How a sink fares.
    Sink(SinkNews),
    /// What a process has left that died at work, and what was done about it.
    Recovered(Recovered),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving(error) => error.fmt(f),
            Self::Sink(news) => news.fmt(f),
            Self::Recovered(what) => what.fmt(f),
        }
    }
}

type Hear = Arc<dyn Fn(Trouble) + Send + Sync>;

impl Kugetsu {
    /// Carries out what is queued, by this program and by all that share the store, as far as slots are
    /// free, and brings notices, until `shutdown` is ready, and returns what that came to. Before it
    /// returns it takes no more, lets the running agents end as long as
    /// [`drain`](crate::Builder::drain) says, and stops those that are left, whose tasks go back to the
    /// queue at no cost.
    ///
    /// `shutdown` may be anything: a signal, a token, or [the end of a task](Self::settled).
    pub async fn run_until<T>(&self, shutdown: impl Future<Output = T>) -> Result<T, EmbedError> {
        self.run_until_telling(shutdown, |_| {}).await
    }

    /// As [`run_until`](Self::run_until), telling `hear` what goes wrong meanwhile.
    pub async fn run_until_telling<T>(
        &self,
        shutdown: impl Future<Output = T>,
        hear: impl Fn(Trouble) + Send + Sync + 'static,
    ) -> Result<T, EmbedError> {
        let (engine, hear): (_, Hear) = (self.engine(), Arc::new(hear));
        let mut shutdown = pin!(shutdown);
        tokio::select! {
            biased;
            made = self.init() => made?,
            over = &mut shutdown => return Ok(over),
        }
        for recovered in engine.recover().await? {
            hear(Trouble::Recovered(recovered));
        }
        let (told, served) = (CancellationToken::new(), CancellationToken::new());
        let mut telling = self.tell(&told, &hear);
        let ends = Shutdown::new();
        let trouble = Arc::clone(&hear);
        let ending = async {
            let over = shutdown.await;
            ends.drain.cancel();
            tokio::select! {
                () = tokio::time::sleep(self.inner.drain) => ends.cancel.cancel(),
                () = served.cancelled() => {}
            }
            over
        };
        let serving = async {
            engine.serve(ends.clone(), move |error| trouble(Trouble::Serving(error))).await;
            served.cancel();
        };
        // The end first, so that nothing is begun when it is there already.
        let (over, ()) = tokio::join!(biased; ending, serving);
        told.cancel();
        while telling.join_next().await.is_some() {}
        Ok(over)
    }

    /// Brings notices to each sink, until `told`; then what is left.
    fn tell(&self, told: &CancellationToken, hear: &Hear) -> JoinSet<()> {
        let mut telling = JoinSet::new();
        for delivery in self.inner.deliveries.clone() {
            let (told, hear) = (told.clone(), Arc::clone(hear));
            telling.spawn(async move {
                delivery.run(told, move |news| hear(Trouble::Sink(news))).await;
            });
        }
        telling
    }
}
