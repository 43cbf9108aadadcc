//! A store of one's own: [`FileStore`], everything in one file. What one program asks for, another
//! one carries out later.
//!
//! ```sh
//! cargo run -p kugetsu-examples --bin custom-store -- /tmp/moon.json add "say Good night."
//! cargo run -p kugetsu-examples --bin custom-store -- /tmp/moon.json work
//! ```

use std::error::Error;

use kugetsu::core::TaskQuery;
use kugetsu::{EmbedError, Kugetsu, Request};
use kugetsu_examples::store::FileStore;
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [path, command @ ..] = words.as_slice() else {
        return Err("usage: custom-store FILE add MESSAGE, or custom-store FILE work".into());
    };
    let place = tempfile::tempdir()?;
    let kugetsu = Kugetsu::builder()
        .store(FileStore::new(path))
        .agent(FakeAgent::new())
        .worktrees(FakeWorktrees::new(place.path().canonicalize()?).with_samples())
        .build()
        .await?;
    match command {
        ["add", message] => {
            let message = format!("MODEL: {message}");
            let request = Request::dev("example.com/acme/widgets#7".parse()?, message);
            println!("queued {}", kugetsu.enqueue(request).await?.id);
        }
        ["work"] => {
            let open = kugetsu.engine().queue().store().list(&TaskQuery::open()).await?;
            let settled = async {
                for task in &open {
                    let task = kugetsu.settled(task.id).await?;
                    println!("{} {}", task.status(), task.id);
                }
                Ok::<(), EmbedError>(())
            };
            kugetsu.run_until(settled).await??;
        }
        _ => return Err("there is only `add MESSAGE` and `work`".into()),
    }
    Ok(())
}
