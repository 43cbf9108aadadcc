//! Reading what a program writes, in pieces of bounded size.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest line of JSON, in bytes.
pub(super) const LONGEST: usize = 1 << 20;
/// A piece of text is told when it is so long, in bytes, if no line ends before.
const PIECE: usize = 8 << 10;

/// Reads lines or pieces of text. No more is kept than the longest line and a piece.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    read: Vec<u8>,
    /// How much of `read` is known to hold no line's end.
    seen: usize,
}

/// A line that is longer than any may be.
#[derive(Debug)]
pub(super) struct TooLong;

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn of(from: R) -> Self {
        Self { from, read: Vec::new(), seen: 0 }
    }

    /// The next line with its end, if it has one; `None` after the last. Cancelling is safe.
    pub(super) async fn line(&mut self) -> io::Result<Result<Option<Vec<u8>>, TooLong>> {
        loop {
            if let Some(end) = self.read[self.seen..].iter().position(|&byte| byte == b'\n') {
                return Ok(Ok(Some(self.take(self.seen + end + 1))));
            }
            self.seen = self.read.len();
            if self.seen > LONGEST {
                return Ok(Err(TooLong));
            }
            if !self.more().await? {
                let rest = self.take(self.read.len());
                return Ok(Ok(Some(rest).filter(|rest| !rest.is_empty())));
            }
        }
    }

    /// The next piece of text: whole lines, or a part of a long one. What is no UTF-8 is replaced.
    /// `None` after the last. Cancelling is safe.
    pub(super) async fn piece(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.read.iter().rposition(|&byte| byte == b'\n') {
                return Ok(Some(text(&self.take(end + 1))));
            }
            if self.read.len() >= PIECE {
                let whole = whole_characters(&self.read);
                return Ok(Some(text(&self.take(whole))));
            }
            if !self.more().await? {
                let rest = self.take(self.read.len());
                return Ok(Some(text(&rest)).filter(|text| !text.is_empty()));
            }
        }
    }

    async fn more(&mut self) -> io::Result<bool> {
        self.read.reserve(PIECE);
        Ok((&mut self.from).take(PIECE as u64).read_buf(&mut self.read).await? > 0)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.seen = 0;
        let rest = self.read.split_off(length);
        std::mem::replace(&mut self.read, rest)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How many of the bytes there are up to a character that has only begun.
fn whole_characters(bytes: &[u8]) -> usize {
    let begun = (1..4).find(|&back| back <= bytes.len() && bytes[bytes.len() - back] >= 0xc0);
    let wanted = |first: u8| match first {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    };
    match begun {
        Some(back) if wanted(bytes[bytes.len() - back]) > back => bytes.len() - back,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pieces(text: &[u8]) -> Vec<String> {
        let mut lines = Lines::of(text);
        let mut pieces = Vec::new();
        while let Some(piece) = lines.piece().await.unwrap() {
            pieces.push(piece);
        }
        pieces
    }

    #[tokio::test]
    async fn text_comes_whole_and_no_character_is_torn() {
        assert_eq!(pieces(b"").await, [""; 0]);
        assert_eq!(pieces(b"one\ntwo\nthr").await, ["one\ntwo\n", "thr"]);
        for begin in ["", "a", "ab", "abc"] {
            let long = format!("{begin}{}", "日👩é".repeat(4000));
            let pieces = pieces(long.as_bytes()).await;
            assert_eq!(pieces.concat(), long);
            assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() < 3 * PIECE));
        }
        assert_eq!(pieces(b"a\xff\xfeb").await.concat(), "a\u{fffd}\u{fffd}b");
        let torn = vec![0xf0; 3 * PIECE];
        assert_eq!(pieces(&torn).await.concat().chars().count(), 3 * PIECE);
    }

    #[tokio::test]
    async fn a_line_comes_whole_unless_it_is_longer_than_any_may_be() {
        let long = vec![b'x'; LONGEST];
        let text = [b"one\n\n", &long[..], b"\nend"].concat();
        let mut lines = Lines::of(&text[..]);
        for wanted in [&b"one\n"[..], b"\n", &[&long[..], b"\n"].concat(), b"end"] {
            assert_eq!(lines.line().await.unwrap().unwrap().as_deref(), Some(wanted));
        }
        assert!(lines.line().await.unwrap().unwrap().is_none());
        let endless = tokio::io::repeat(b'x');
        assert!(Lines::of(endless).line().await.unwrap().is_err());
    }
}
