//! The text of an env file: what a shell's `export` lines are, read without running anything.
//!
//! A line is `export NAME="value"`; `export` may be left out. A value is made of words in double
//! quotes, in single quotes, in `$'…'`, and of bare characters, as in bash, and may go on over
//! several lines inside of quotes. Nothing is expanded: `$HOME` and `$(date)` are what they are.
//! What is written here bash reads as the same value.

use std::ops::Range;

/// One line that sets a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    /// From `export` or the name to the end of the value, in bytes of the text.
    pub(super) range: Range<usize>,
}

/// A place where no variable stands, as the number of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) usize);

/// All assignments, in their order.
pub(super) fn parse(text: &str) -> Result<Vec<Assignment>, Unreadable> {
    let mut reader = Reader { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    let mut all = Vec::new();
    loop {
        reader.skip_blank();
        let Some(next) = reader.peek() else { return Ok(all) };
        if next == '#' {
            reader.skip_line();
            continue;
        }
        let start = reader.at;
        let line = text[..start].matches('\n').count() + 1;
        let read = reader.assignment(start).filter(|_| reader.ends_line());
        all.push(read.ok_or(Unreadable(line))?);
    }
}

/// What stands in a text that need be no env file.
pub(super) enum Piece<'a> {
    Set(Assignment),
    /// What stands behind an assignment in its line.
    Behind(&'a str),
    /// A line in which no variable is set, or that may be inside of a quote that was never closed.
    Line(&'a str),
}

/// All that stands in a text, in its order, but for comments.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut reader = Reader { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    let (mut all, mut is_open) = (Vec::new(), false);
    loop {
        reader.skip_blank();
        let Some(next) = reader.peek() else { return all };
        let start = reader.at;
        let read = if next == '#' { None } else { reader.assignment(start) };
        let (end, is_set) = (reader.at, read.is_some());
        all.extend(read.map(Piece::Set));
        reader.at = if is_set { end } else { start };
        let ends_line = is_set && reader.ends_line();
        reader.skip_line();
        let rest = &text[if is_set { end } else { start }..reader.at];
        if is_set && !ends_line {
            all.push(Piece::Behind(rest));
        } else if !is_set && next != '#' {
            all.push(Piece::Line(rest));
        }
        if is_open {
            all.push(Piece::Line(&text[start..reader.at]));
        }
        is_open |= !is_set && next != '#' && end == text.len();
    }
}

/// The text with this variable set to this value: where it was set last, or at the end.
pub(super) fn set(text: &str, name: &str, value: &str) -> Result<String, Unreadable> {
    let line = format!("export {name}=\"{}\"", quoted(value));
    let last = parse(text)?.into_iter().rfind(|assignment| assignment.name == name);
    Ok(match last {
        Some(last) => format!("{}{line}{}", &text[..last.range.start], &text[last.range.end..]),
        None if text.is_empty() || text.ends_with('\n') => format!("{text}{line}\n"),
        None => format!("{text}\n{line}\n"),
    })
}

/// The text without the lines that set this variable; `None` if none does.
pub(super) fn without(text: &str, name: &str) -> Result<Option<String>, Unreadable> {
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for assignment in parse(text)?.iter().filter(|assignment| assignment.name == name) {
        let begin = text[..assignment.range.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[assignment.range.end..].find('\n');
        let end = end.map_or(text.len(), |end| assignment.range.end + end + 1);
        left.push_str(text.get(at..begin).unwrap_or_default());
        at = end;
    }
    if at == 0 {
        return Ok(None);
    }
    left.push_str(&text[at..]);
    Ok(Some(left))
}

/// The value between double quotes.
fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, text: &str) -> bool {
        let is_next = self.text[self.at..].starts_with(text);
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    fn skip_while(&mut self, skip: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&skip) {
            self.next();
        }
    }

    fn skip_blank(&mut self) {
        self.skip_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    fn skip_line(&mut self) {
        self.skip_while(|c| c != '\n');
    }

    fn assignment(&mut self, start: usize) -> Option<Assignment> {
        if self.take("export ") || self.take("export\t") {
            self.skip_while(|c| matches!(c, ' ' | '\t'));
        }
        let from = self.at;
        self.skip_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = self.text[from..self.at].to_owned();
        if !super::names::is_name(&name) || self.next() != Some('=') {
            return None;
        }
        let value = self.value()?;
        Some(Assignment { name, value, range: start..self.at })
    }

    fn value(&mut self) -> Option<String> {
        let mut value = String::new();
        loop {
            match self.peek() {
                None | Some(' ' | '\t' | '\n') => return Some(value),
                // A line may end as on other systems.
                Some('\r') if self.text[self.at..].starts_with("\r\n") => return Some(value),
                Some('"') => self.double(&mut value)?,
                Some('\'') => self.single(&mut value)?,
                Some('$') if self.text[self.at..].starts_with("$'") => self.ansi(&mut value)?,
                // What would mean something else to a shell.
                Some(';' | '&' | '|' | '<' | '>' | '(' | ')') => return None,
                Some('\\') => {
                    self.next();
                    match self.next()? {
                        '\n' => {}
                        c => value.push(c),
                    }
                }
                Some(c) => {
                    self.next();
                    value.push(c);
                }
            }
        }
    }

    fn double(&mut self, value: &mut String) -> Option<()> {
        self.next();
        loop {
            match self.next()? {
                '"' => return Some(()),
                '\\' => match self.next()? {
                    '\n' => {}
                    c @ ('"' | '\\' | '$' | '`') => value.push(c),
                    c => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
    }

    fn single(&mut self, value: &mut String) -> Option<()> {
        self.next();
        loop {
            match self.next()? {
                '\'' => return Some(()),
                c => value.push(c),
            }
        }
    }

    /// `$'…'`, as `declare -p` of bash writes what does not fit elsewhere.
    fn ansi(&mut self, value: &mut String) -> Option<()> {
        self.take("$'");
        loop {
            match self.next()? {
                '\'' => return Some(()),
                '\\' => match self.next()? {
                    'n' => value.push('\n'),
                    't' => value.push('\t'),
                    'r' => value.push('\r'),
                    'a' => value.push('\u{7}'),
                    'b' => value.push('\u{8}'),
                    'e' | 'E' => value.push('\u{1b}'),
                    'f' => value.push('\u{c}'),
                    'v' => value.push('\u{b}'),
                    'u' => value.push(self.code(4)?),
                    'U' => value.push(self.code(8)?),
                    c @ ('\\' | '\'' | '"' | '?') => value.push(c),
                    // Bytes that need be no text.
                    'x' | '0'..='9' | 'c' => return None,
                    c => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
    }

    fn code(&mut self, most: usize) -> Option<char> {
        let from = self.at;
        while self.at - from < most && self.peek().is_some_and(|c| c.is_ascii_hexdigit()) {
            self.next();
        }
        let code = u32::from_str_radix(&self.text[from..self.at], 16).ok()?;
        char::from_u32(code).filter(|c| *c != '\0')
    }

    /// Whether nothing but a comment stands up to the end of the line.
    fn ends_line(&self) -> bool {
        let rest = &self.text[self.at..];
        let line = rest.split('\n').next().unwrap_or_default();
        let after = line.trim_start_matches([' ', '\t']);
        let after = after.strip_suffix('\r').unwrap_or(after);
        after.is_empty() || (after.starts_with('#') && after.len() < line.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, usize> {
        let all = parse(text).map_err(|Unreadable(line)| line)?;
        Ok(all.into_iter().map(|one| (one.name, one.value)).collect())
    }

    #[test]
    fn what_a_shell_reads_is_read() {
        for (text, value) in [
            ("A=1", "1"),
            ("export A=1\r\n", "1"),
            ("\u{feff}A=1", "1"),
            ("  export   A=1  # one", "1"),
            ("A=", ""),
            ("A=\"\"", ""),
            ("A='it is $HOME'", "it is $HOME"),
            ("A=\"it is $HOME and $(date) and `date`\"", "it is $HOME and $(date) and `date`"),
            ("A=\"a \\\"b\\\" \\$c \\\\ \\n\"", "a \"b\" $c \\ \\n"),
            ("A=a\\ b", "a b"),
            ("A=a'b c'\"d e\"f", "ab cd ef"),
            ("A='it'\\''s'", "it's"),
            ("A=$'a\\nb\\t\\u00fc'", "a\nb\tü"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=\"one \\\nline\"", "one line"),
            ("A=a#b", "a#b"),
            ("A=a=b", "a=b"),
            ("A=https://x/?a=b#c", "https://x/?a=b#c"),
        ] {
            assert_eq!(read(text), Ok(vec![("A".to_owned(), value.to_owned())]), "{text:?}");
        }
        assert_eq!(read("# nothing\n\n \t\n"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_assignment_is_told_by_its_line() {
        for (text, line) in [
            ("A=1\nnothing", 2),
            ("A=1\n\n# c\nB", 4),
            ("A=\"open", 1),
            ("A='open\nB=1", 1),
            ("A=1 B=2", 1),
            ("A=1; B=2", 1),
            ("A=$(date)", 1),
            ("1A=2", 1),
            ("A-B=2", 1),
            ("A =1", 1),
            ("export", 1),
            ("A=\"two\nlines\"\n!", 3),
            ("A='x'#y'", 1),
        ] {
            assert_eq!(read(text), Err(line), "{text:?}");
        }
    }

    #[test]
    fn what_stands_around_a_variable_stays() {
        let text = "# mine\nexport A=\"1\" # first\r\n\nB='2'\nA=3";
        let changed = set(text, "A", "x\"y").unwrap();
        assert_eq!(changed, "# mine\nexport A=\"1\" # first\r\n\nB='2'\nexport A=\"x\\\"y\"");
        assert_eq!(set("B=1", "A", "2").unwrap(), "B=1\nexport A=\"2\"\n");
        assert_eq!(without(text, "A").unwrap().unwrap(), "# mine\n\nB='2'\n");
        assert_eq!(without(text, "C").unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_value_survives(
            values in prop::collection::vec("[^\0]{0,40}|[\"'$`\\\\\n\r #!;]{0,12}", 1..5),
            before in "(# x\n|B='a\nb'\n)?",
        ) {
            let mut text = before;
            for (number, value) in values.iter().enumerate() {
                text = set(&text, &format!("V{}", number % 3), value).unwrap();
            }
            let all = parse(&text).unwrap();
            for (number, value) in values.iter().enumerate().rev().take(3) {
                let name = format!("V{}", number % 3);
                let read = all.iter().rfind(|one| one.name == name).unwrap();
                prop_assert_eq!(&read.value, value);
            }
            let less = without(&text, "V0").unwrap().unwrap();
            prop_assert!(parse(&less).unwrap().iter().all(|one| one.name != "V0"));
        }

        #[test]
        fn any_text_can_be_read(text in ".*|[A-Z=\"'$\\\\\n ]{0,30}") {
            let _ = parse(&text);
        }
    }
}
