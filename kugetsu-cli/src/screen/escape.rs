//! What an agent says can hold anything; on a terminal it must not act, nor look like what it is not.

use std::fmt::Write as _;

/// The text with every character that acts on a terminal, or hides or turns around its neighbours,
/// written as `<U+001B>`. Line ends and tabs stay.
pub(crate) fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' | '\t' => safe.push(c),
            c if acts(c) => {
                let _ = write!(safe, "<U+{:04X}>", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// The same in one line: line ends and tabs become spaces.
pub(crate) fn line(text: &str) -> String {
    self::text(text).replace(['\n', '\t'], " ")
}

/// The line, cut to so many characters.
pub(crate) fn cut(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The line as one word for a shell, in quotes if it needs them.
pub(crate) fn word(text: &str) -> String {
    let line = self::line(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !line.is_empty() && line.chars().all(is_plain) {
        return line;
    }
    format!("'{}'", line.replace('\'', r"'\''"))
}

fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{cut, line, text, word};

    #[test]
    fn nothing_that_an_agent_says_acts_on_the_terminal() {
        let table = [
            ("plain text, ümläuts and 🎉", "plain text, ümläuts and 🎉"),
            ("\x1b[2J\x1b]0;title\x07", "<U+001B>[2J<U+001B>]0;title<U+0007>"),
            ("\u{9b}31m", "<U+009B>31m"),
            ("a\r\nb\rc\td", "a\nb<U+000D>c\td"),
            ("user\u{202e}gpj.exe", "user<U+202E>gpj.exe"),
            ("zero\u{200b}width\u{feff}", "zero<U+200B>width<U+FEFF>"),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
            ("\u{7f}\u{0}", "<U+007F><U+0000>"),
        ];
        for (said, shown) in table {
            assert_eq!(text(said), shown);
        }
        assert_eq!(line("a\nb\tc"), "a b c");
    }

    #[test]
    fn a_cut_counts_characters_and_shows_that_it_cut() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn a_word_is_one_word_to_a_shell() {
        assert_eq!(word("/home/me/.kugetsu/a-b_1"), "/home/me/.kugetsu/a-b_1");
        assert_eq!(word("my clone"), "'my clone'");
        assert_eq!(word("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(word(""), "''");
    }
}
