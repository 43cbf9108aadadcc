//! Text without what acts on a terminal.

/// Takes escape sequences and control characters out of a text that comes in pieces. Line ends and
/// tabs stay; what turns around or hides its neighbours goes.
#[derive(Debug, Default)]
pub(super) struct Plain {
    place: Place,
    /// The last character was a carriage return; whether it ends a line the next one tells.
    returned: bool,
}

/// Where in an escape sequence the text is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// Behind an escape character.
    Escape,
    /// Among the parameters of a control sequence.
    Parameters,
    /// In a string for the terminal, such as a title.
    String,
    /// Behind an escape character in such a string.
    StringEscape,
}

impl Plain {
    /// The piece without them.
    pub(super) fn push(&mut self, piece: &str) -> String {
        let mut plain = String::with_capacity(piece.len());
        for c in piece.chars() {
            self.next(c, &mut plain);
        }
        plain
    }

    // In the order in which they hold.
    #[allow(clippy::match_same_arms)]
    fn next(&mut self, c: char, plain: &mut String) {
        self.place = match (self.place, c) {
            // Nothing that is really meant for a terminal goes over a line's end; what was cut off
            // must not swallow the rest.
            (_, '\n') | (Place::Text, '\r') => return self.text(c, plain),
            (Place::String, '\u{7}' | '\u{9c}') | (Place::StringEscape, '\\') => Place::Text,
            (Place::String, '\u{1b}') => Place::StringEscape,
            (Place::String, _) => Place::String,
            (_, '\u{1b}') => Place::Escape,
            (Place::Escape | Place::StringEscape, '[') | (Place::Text, '\u{9b}') => {
                Place::Parameters
            }
            (Place::Escape | Place::StringEscape, ']' | 'P' | 'X' | '^' | '_')
            | (Place::Text, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => Place::String,
            (Place::Escape, ' '..='/') => Place::Escape,
            (Place::Parameters, ' '..='?') => Place::Parameters,
            (Place::Escape | Place::StringEscape, ' '..='~') | (Place::Parameters, '@'..='~') => {
                Place::Text
            }
            _ => return self.text(c, plain),
        };
    }

    fn text(&mut self, c: char, plain: &mut String) {
        self.place = Place::Text;
        let returned = std::mem::replace(&mut self.returned, c == '\r');
        if returned && c != '\n' && c != '\r' {
            plain.push('\n');
        }
        if matches!(c, '\n' | '\t') || !acts(c) {
            plain.push(c);
        }
    }
}

/// The whole text without them, in one line.
pub(crate) fn line(text: &str) -> String {
    Plain::default().push(text).split_whitespace().collect::<Vec<_>>().join(" ")
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
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left() {
        let table = [
            ("plain, ümläut and 🎉\tend\n", "plain, ümläut and 🎉\tend\n"),
            ("\x1b[1;31mred\x1b[0m \x1b[2Jgone", "red gone"),
            ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
            ("\x1bPq#0\x1b\\a\u{9b}31mb\u{9d}x\u{9c}c", "abc"),
            ("\x1b(Ba\x1bMb\x1b7c", "abc"),
            ("10 %\r20 %\r\nend\r\n", "10 %\n20 %\nend\n"),
            ("cut off \x1b]0;tit\nthe rest", "cut off \nthe rest"),
            ("cut off \x1b[31ürest", "cut off ürest"),
            ("\u{202e}turned\u{200b}\u{7}\u{0}\u{7f}", "turned"),
        ];
        for (said, plain) in table {
            assert_eq!(Plain::default().push(said), plain, "{said:?}");
            // In pieces it is the same.
            let mut pieces = Plain::default();
            let joined: String = said.chars().map(|c| pieces.push(&c.to_string())).collect();
            assert_eq!(joined, plain, "{said:?}");
        }
        assert_eq!(line(" a\x1b[0m\n\tb "), "a b");
    }
}
