//! Masking: what must not be seen is not written down.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

/// What stands where a secret was.
pub const MASKED: &str = "***MASKED***";

/// The shortest text that is masked, in characters: a shorter one would hide half of what is said.
const SHORTEST: usize = 6;

/// The shortest beginning of a secret that is masked where a text was cut, in bytes.
const SHORTEST_CUT: usize = 4;

/// What ends a text that was cut.
const CUT: char = '…';

/// The secrets that are known, and the forms in which they turn up. It shows none of them, whoever
/// asks.
///
/// # Promises
///
/// * Whatever is part of an occurrence of a secret is masked, also where occurrences overlap.
/// * A secret is found as it is, as a JSON string, quoted for a shell, percent-encoded, in
///   hexadecimal, in base64 (also in the middle of a longer text that was encoded), and by its lines.
/// * Values of less than 6 characters are left out, since they would mask what is none.
#[derive(Default)]
pub struct Mask {
    /// In order, each once.
    forms: Vec<String>,
    finder: Option<AhoCorasick>,
    longest: usize,
}

impl Mask {
    /// Masks these values. Should they be too many to be looked for, every text is masked whole.
    pub fn new<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Self {
        let mut forms = BTreeSet::new();
        for value in values {
            add_forms(value.as_ref(), &mut forms);
        }
        let forms: Vec<String> = forms.into_iter().collect();
        let longest = forms.iter().map(String::len).max().unwrap_or_default();
        let finder = AhoCorasick::new(&forms).ok();
        Self { forms, finder, longest }
    }

    /// The text with every secret in it masked.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let hidden = self.hidden(text);
        if hidden.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut shown, mut at) = (String::with_capacity(text.len()), 0);
        for range in hidden {
            shown.push_str(&text[at..range.start]);
            shown.push_str(MASKED);
            at = range.end;
        }
        shown.push_str(&text[at..]);
        Cow::Owned(shown)
    }

    /// The same for a text that may have been cut, which then ends with `…`: the beginning of a
    /// secret in front of that is masked too.
    pub fn cut_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let shown = self.text(text);
        let Some(front) = shown.strip_suffix(CUT) else { return shown };
        let sure = self.sure(front);
        if front.len() - sure < SHORTEST_CUT {
            return shown;
        }
        Cow::Owned(format!("{}{MASKED}{CUT}", &front[..sure]))
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Where secrets are in the text, in order, apart from each other.
    fn hidden(&self, text: &str) -> Vec<Range<usize>> {
        if self.is_empty() || text.is_empty() {
            return Vec::new();
        }
        let Some(finder) = &self.finder else { return std::iter::once(0..text.len()).collect() };
        let mut found: Vec<Range<usize>> =
            finder.find_overlapping_iter(text).map(|found| found.range()).collect();
        found.sort_by_key(|range| range.start);
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for range in found {
            match apart.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        apart
    }

    /// Up to where the text holds no beginning of a secret that may go on behind its end.
    fn sure(&self, text: &str) -> usize {
        let first = text.len().saturating_sub(self.longest.saturating_sub(1));
        let begins = |end: &str| {
            let next = self.forms.partition_point(|form| form.as_str() < end);
            let goes_on = |form: &&String| form.starts_with(end);
            self.forms[next..].iter().take(2).filter(goes_on).any(|form| form.len() > end.len())
        };
        (first..text.len())
            .find(|at| text.is_char_boundary(*at) && begins(&text[*at..]))
            .unwrap_or(text.len())
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").field("forms", &self.forms.len()).finish_non_exhaustive()
    }
}

/// Masks a text that comes in pieces: what could be the beginning of a secret is held back until it
/// is known. Never more is held back than the longest secret.
#[derive(Debug)]
pub(crate) struct Veil {
    mask: Arc<Mask>,
    held: Held,
}

/// What is held back; it may be a part of a secret.
#[derive(Default)]
struct Held {
    text: String,
    /// So much of it, from its beginning, is hidden by a mark that was told already.
    hidden: usize,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl Veil {
    pub(crate) fn new(mask: Arc<Mask>) -> Self {
        Self { mask, held: Held::default() }
    }

    /// What may be told now that this piece has come.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        self.held.text.push_str(piece);
        self.tell(self.mask.sure(&self.held.text))
    }

    /// What is held back, since nothing comes any more.
    pub(crate) fn rest(&mut self) -> String {
        self.tell(self.held.text.len())
    }

    fn tell(&mut self, end: usize) -> String {
        let Held { text, hidden } = &mut self.held;
        let (mut told, mut at) = (String::new(), *hidden);
        for range in self.mask.hidden(text) {
            if range.start >= *hidden {
                if range.start >= end {
                    break;
                }
                told.push_str(&text[at..range.start]);
                told.push_str(MASKED);
            }
            at = at.max(range.end);
        }
        told.push_str(text.get(at..end).unwrap_or_default());
        *hidden = at.saturating_sub(end);
        text.drain(..end);
        told
    }
}

fn add_forms(value: &str, forms: &mut BTreeSet<String>) {
    let mut add = |form: String| {
        if form.chars().count() >= SHORTEST {
            forms.insert(form);
        }
    };
    for line in value.lines().map(str::trim) {
        add(json_escaped(line));
        add(line.to_owned());
    }
    for whole in [value, value.trim()] {
        if whole.chars().count() < SHORTEST {
            continue;
        }
        add(whole.to_owned());
        add(json_escaped(whole));
        add(percent_encoded(whole, |byte| format!("%{byte:02X}")));
        add(percent_encoded(whole, |byte| format!("%{byte:02x}")));
        // As in a form, and as JSON within JSON.
        add(percent_encoded(whole, |byte| format!("%{byte:02X}")).replace("%20", "+"));
        add(json_escaped(&json_escaped(whole)));
        add(whole.replace('\'', "'\\''"));
        add(backslashed(whole, |c| matches!(c, '"' | '\\' | '$' | '`')));
        add(backslashed(whole, |c| !c.is_alphanumeric() && !"-._/@:=+,%".contains(c)));
        let digits = whole.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
        let hex: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
        add(hex.to_uppercase());
        add(hex);
        for before in 0..3 {
            let inside = base64_inside(whole.as_bytes(), before);
            add(inside.replace('+', "-").replace('/', "_"));
            add(inside);
        }
    }
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// With a backslash before what means something to a shell.
fn backslashed(text: &str, means: impl Fn(char) -> bool) -> String {
    let escaped = |c: char| if means(c) { vec!['\\', c] } else { vec![c] };
    text.chars().flat_map(escaped).collect()
}

fn percent_encoded(text: &str, escaped: impl Fn(u8) -> String) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte| if is_plain(byte) { char::from(byte).to_string() } else { escaped(byte) };
    text.bytes().map(encode).collect()
}

/// What is always the same where these bytes stand in base64, `before` bytes (modulo 3) into what was
/// encoded: without the characters that others have a part in.
fn base64_inside(bytes: &[u8], before: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let all: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
    let digit = |index: usize| {
        let bit = index * 6;
        let pair = u16::from(all[bit / 8]) << 8 | all.get(bit / 8 + 1).map_or(0, |b| u16::from(*b));
        char::from(DIGITS[usize::from(pair >> (10 - bit % 8) & 63)])
    };
    // A digit is ours if all of its six bits are.
    ((before * 8).div_ceil(6)..all.len() * 8 / 6).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(secrets: &[&str], text: &str, shown: &str) {
        assert_eq!(Mask::new(secrets).text(text), shown);
    }

    #[test]
    fn a_secret_is_masked_wherever_it_stands_and_nothing_else_is() {
        check(
            &["hunter22"],
            "it is hunter22, hunter2 is not",
            "it is ***MASKED***, hunter2 is not",
        );
        check(&["hunter22"], "hunter22hunter22", "***MASKED******MASKED***");
        // A longer secret that holds a shorter one, and two that share a part.
        check(&["secret", "my secret key"], "my secret key", MASKED);
        check(&["abcdefgh", "ghijkl"], "<abcdefghijkl>", "<***MASKED***>");
        // Too short: half of all words would be masked.
        check(&["", "abc", "12345"], "abc 12345", "abc 12345");
        check(&["a.c+(x|y)*"], "a.c+(x|y)* abc+x", "***MASKED*** abc+x");
        check(&[], "nothing is known", "nothing is known");
    }

    #[test]
    fn a_secret_is_found_in_its_other_forms() {
        let secret = "p\"w/ü+x =\\1";
        for form in [
            r#"p\"w/ü+x =\\1"#,
            "p%22w%2F%C3%BC%2Bx%20%3D%5C1",
            "p%22w%2f%c3%bc%2bx%20%3d%5c1",
            "p%22w%2F%C3%BC%2Bx+%3D%5C1",
            r#"p\\\"w/ü+x =\\\\1"#,
            r#"p\"w/ü+x =\\1"#,
            r#"p\"w/ü+x\ =\\1"#,
            "7022772fc3bc2b78203d5c31",
            "7022772FC3BC2B78203D5C31",
            // Alone, and behind `me:` and `you:`.
            "cCJ3L8O8K3ggPVwx",
            "bWU6cCJ3L8O8K3ggPVwx",
            "eW91OnAidy/DvCt4ID1cMQ==",
            "eW91OnAidy_DvCt4ID1cMQ",
        ] {
            let shown = Mask::new([secret]).text(form).into_owned();
            let left: usize = shown.replace(MASKED, "").len();
            // What stands beside it is left, and of base64 the digits that are shared with it.
            assert!(shown.contains(MASKED) && left <= 9, "{form} became {shown}");
        }
        let key = "-----BEGIN KEY-----\r\nMIIBVgIBADAN\r\nAB\r\n";
        check(&[key], "line 2: MIIBVgIBADAN AB", "line 2: ***MASKED*** AB");
        check(&["hunter22\n"], "it is hunter22", "it is ***MASKED***");
    }

    #[test]
    fn a_secret_that_was_cut_off_is_masked_too() {
        let mask = Mask::new(["ghp_0123456789"]);
        assert_eq!(mask.cut_text("TOKEN=ghp_0123…"), "TOKEN=***MASKED***…");
        assert_eq!(mask.cut_text("a g…"), "a g…");
        assert_eq!(mask.cut_text("TOKEN=ghp_0123"), "TOKEN=ghp_0123");
    }

    #[test]
    fn a_mask_tells_nobody_what_it_masks() {
        let mut veil = Veil::new(Arc::new(Mask::new(["hunter22"])));
        assert_eq!(veil.push("hunter"), "");
        let told = format!("{veil:?}");
        assert!(!told.contains("hunter"), "{told}");
    }

    #[test]
    fn what_is_no_secret_in_the_end_is_told() {
        let mut veil = Veil::new(Arc::new(Mask::new(["hunter22"])));
        assert_eq!(veil.push("a hunt"), "a ");
        assert_eq!(veil.push("ress"), "huntress");
        assert_eq!(veil.push(" hun"), " ");
        assert_eq!(veil.rest(), "hun");
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_into_pieces_no_secret_is_told(
            secrets in prop::collection::vec("[abü]{6,9}", 1..4),
            texts in prop::collection::vec(prop_oneof!["[abcü]{0,7}", Just(String::new())], 0..8),
            picks in prop::collection::vec(0..4usize, 0..8),
            sizes in prop::collection::vec(1..5usize, 1..40),
        ) {
            let mut text = String::new();
            for (index, part) in texts.iter().enumerate() {
                text.push_str(part);
                if let Some(secret) = picks.get(index).and_then(|pick| secrets.get(*pick)) {
                    text.push_str(secret);
                }
            }
            let mask = Arc::new(Mask::new(&secrets));
            let (mut veil, mut told) = (Veil::new(Arc::clone(&mask)), String::new());
            let mut letters = text.chars().peekable();
            for size in sizes.iter().cycle() {
                if letters.peek().is_none() {
                    break;
                }
                let piece: String = letters.by_ref().take(*size).collect();
                told.push_str(&veil.push(&piece));
                prop_assert!(veil.held.text.len() < mask.longest);
            }
            told.push_str(&veil.rest());
            // In pieces or whole, the same is told.
            prop_assert_eq!(told, mask.text(&text));
        }
    }
}
