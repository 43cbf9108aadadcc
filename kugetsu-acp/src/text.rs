//! Words for people: one line, not too long, with nothing in it that steers a terminal.

/// The longest line that is told of a tool or a question, in characters.
pub(crate) const LINE: usize = 200;

/// The first line that says something, cut to `most` characters.
pub(crate) fn first_line(text: &str, most: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    cut(line, most)
}

/// The first two lines that say something, as one.
pub(crate) fn summary(text: &str) -> String {
    let said: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).take(2).collect();
    cut(&said.join(" · "), LINE)
}

/// The text on one line, cut to `most` characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut cut: String = plain.take(most + 1).collect();
    if let Some((end, _)) = cut.char_indices().nth(most) {
        cut.truncate(end);
        cut.pop();
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(first_line("\n  \n one \n two", 80), "one");
        assert_eq!(summary("\n one \n\n two\nthree"), "one · two");
        assert_eq!(cut("a\u{1b}[2Jb", 80), "a [2Jb");
    }
}
