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
    /// free, and brings notices, until `shutdown` is ready. Then it takes no more, lets the running
    /// agents end as long as [`drain`](crate::Builder::drain) says, and stops those that are left, whose
    /// tasks go back to the queue.
    pub async fn run_until(&self, shutdown: impl Future<Output = ()>) -> Result<(), EmbedError> {
        self.run_until_telling(shutdown, |_| {}).await
    }

    /// As [`run_until`](Self::run_until), telling `hear` what goes wrong meanwhile.
    pub async fn run_until_telling(
        &self,
        shutdown: impl Future<Output = ()>,
        hear: impl Fn(Trouble) + Send + Sync + 'static,
    ) -> Result<(), EmbedError> {
        let (engine, hear): (_, Hear) = (self.engine(), Arc::new(hear));
        let mut shutdown = pin!(shutdown);
        tokio::select! {
            biased;
            made = self.init() => made?,
            () = &mut shutdown => return Ok(()),
        }
        for recovered in engine.recover().await? {
            hear(Trouble::Recovered(recovered));
        }
        let told = CancellationToken::new();
        let mut telling = self.tell(&told, &hear);
        let ends = Shutdown::new();
        let trouble = Arc::clone(&hear);
        let serving = engine.serve(ends.clone(), move |error| trouble(Trouble::Serving(error)));
        let ending = async {
            shutdown.await;
            ends.drain.cancel();
            tokio::time::sleep(self.inner.drain).await;
            ends.cancel.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            // First, so that nothing is begun when it is over.
            biased;
            () = ending => {}
            () = serving => {}
        }
        told.cancel();
        while telling.join_next().await.is_some() {}
        Ok(())
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
