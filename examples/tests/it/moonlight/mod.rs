//! What `docs/writing-a-backend.md` shows passes its suites, and is what stands here.

mod agent;
mod lines;

use std::fs;
use std::path::Path;

const SHOWN: [&str; 4] = [
    "src/moonlight/lines.rs",
    "tests/it/moonlight/lines.rs",
    "src/moonlight/runner.rs",
    "tests/it/moonlight/agent.rs",
];

/// The file as an outsider's crate would have it.
fn outside(file: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let lines = text.lines().skip_while(|line| line.starts_with("//!") || line.is_empty());
    let text: Vec<&str> = lines.collect();
    text.join("\n")
        .replace("kugetsu_examples::moonlight::", "moonlight::")
        .replace("kugetsu::core::", "kugetsu_core::")
        + "\n"
}

#[test]
fn the_page_shows_these_files_and_nothing_else() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/writing-a-backend.md");
    let text = fs::read_to_string(&page).unwrap();
    let mut parts = text.split("```rust\n");
    let mut made = parts.next().unwrap().to_owned();
    let mut files = SHOWN.iter();
    for part in parts {
        let (_, rest) = part.split_once("```").unwrap();
        let file = files.next().expect("a block that no file stands behind");
        made = format!("{made}```rust\n{}```{rest}", outside(file));
    }
    assert_eq!(files.next(), None, "a file that the page does not show");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page, made).unwrap();
    } else {
        assert!(text == made, "the page is another one; UPDATE_DOCS=1 makes it anew");
    }
}
