//! The end of what a program says to people.

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// So many bytes are kept.
const KEPT: usize = 4 << 10;
/// So many lines of it are told, in so many characters.
const LINES: usize = 4;
const LONGEST: usize = 600;

/// Reads to the end and returns the last lines, in one. Failing to read is the end, too.
pub(super) async fn of(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::with_capacity(2 * KEPT);
    while let Ok(1..) = (&mut from).take(KEPT as u64).read_buf(&mut kept).await {
        if kept.len() > KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    last_lines(&String::from_utf8_lossy(&kept))
}

fn last_lines(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty()).rev().take(LINES);
    let mut lines: Vec<&str> = lines.collect();
    lines.reverse();
    let all = lines.join(" / ");
    let over = all.chars().count().saturating_sub(LONGEST);
    match over {
        0 => all,
        over => format!("…{}", all.chars().skip(over).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_words_are_told_and_no_more() {
        assert_eq!(of(&b""[..]).await, "");
        assert_eq!(of(&b"1\n2\n\n3\n4\r\n5\n \n"[..]).await, "2 / 3 / 4 / 5");
        let long = format!("{}\nthe end", "x".repeat(1 << 20));
        let told = of(long.as_bytes()).await;
        assert!(told.ends_with(" / the end") && told.chars().count() == LONGEST + 1, "{told}");
    }
}
