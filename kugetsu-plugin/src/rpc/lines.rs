//! Lines of a bounded length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// A line, or that it is too long to be one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end. The last one may lack it.
    Whole(Vec<u8>),
    /// It goes on beyond the bound. Nothing after it can be understood.
    TooLong,
}

/// The next line; `None` at the end.
pub(super) async fn next(
    from: &mut (impl AsyncBufRead + Unpin),
    longest: usize,
) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    loop {
        let some = match from.fill_buf().await {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if some.is_empty() {
            return Ok((!line.is_empty()).then_some(Line::Whole(line)));
        }
        let end = some.iter().position(|byte| *byte == b'\n');
        let part = &some[..end.unwrap_or(some.len())];
        if line.len() + part.len() > longest {
            return Ok(Some(Line::TooLong));
        }
        line.extend_from_slice(part);
        let taken = end.map_or(some.len(), |end| end + 1);
        from.consume(taken);
        if end.is_some() {
            return Ok(Some(Line::Whole(line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_ends_with_a_line_break_or_the_end_and_is_no_longer_than_allowed() {
        for size in 1..8 {
            let text: &[u8] = b"one\n\ntwo\r\nlong!\nlast";
            let mut from = tokio::io::BufReader::with_capacity(size, text);
            let mut lines = vec![];
            while let Some(line) = next(&mut from, 5).await.unwrap() {
                lines.push(line);
            }
            let whole = |text: &str| Line::Whole(text.into());
            let all = ["one", "", "two\r", "long!", "last"].map(whole);
            assert_eq!(lines, all, "{size} at a time");
            let mut from = tokio::io::BufReader::with_capacity(size, text);
            assert_eq!(next(&mut from, 2).await.unwrap(), Some(Line::TooLong));
        }
    }
}
