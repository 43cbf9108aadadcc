//! A notifier of one's own: [`FileNotifier`] writes down what people should hear of.
//!
//! ```sh
//! cargo run -p kugetsu-examples --bin custom-notifier -- /tmp/notices.jsonl
//! ```

use std::error::Error;

use kugetsu::{Kugetsu, Request};
use kugetsu_examples::notifier::{FileNotifier, kept};
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: custom-notifier FILE")?;
    let place = tempfile::tempdir()?;
    let kugetsu = Kugetsu::builder()
        .agent(FakeAgent::new())
        .worktrees(FakeWorktrees::new(place.path().canonicalize()?).with_samples())
        .notifier(FileNotifier::new(&path))
        .build()
        .await?;
    let request = Request::dev("example.com/acme/widgets#7".parse()?, "MODEL: say All is well.");
    let task = kugetsu.enqueue(request).await?;
    // Whatever is left to be told is brought before this returns.
    kugetsu.run_until(kugetsu.settled(task.id)).await??;
    for notice in kept(path.as_ref())? {
        // An agent may have written a part of it.
        println!("{}: {}", notice.kind, notice.text.escape_debug());
    }
    Ok(())
}
