//! A message that does not grow beyond its cap.

/// The most that is kept of one message, in bytes.
pub(super) const CAP: usize = 8 * 1024;

/// A text that comes in pieces. Of one that is too long the beginning and the end are kept.
#[derive(Debug, Default)]
pub(super) struct Growing {
    text: String,
    /// What was dropped out of its middle so far, in bytes.
    dropped: usize,
}

impl Growing {
    pub(super) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        // Not at each piece: that would copy it each time.
        if self.text.len() > 4 * CAP {
            self.cut();
        }
    }

    /// What is kept of it.
    pub(super) fn kept(mut self) -> String {
        if self.dropped > 0 || self.text.trim().len() > CAP {
            self.cut();
            let middle = self.text.floor_char_boundary(CAP / 2);
            let (begin, end) = self.text.split_at(middle);
            return format!("{}\n[… {} bytes dropped …]\n{}", begin, self.dropped, end);
        }
        self.text.trim().to_owned()
    }

    fn cut(&mut self) {
        let begin = self.text.floor_char_boundary(CAP / 2);
        let end = self.text.ceil_char_boundary(self.text.len().saturating_sub(CAP / 2)).max(begin);
        self.dropped += end - begin;
        self.text.replace_range(begin..end, "");
    }
}

/// What is kept of a whole message.
pub(super) fn kept(text: &str) -> String {
    let mut growing = Growing::default();
    growing.push(text);
    growing.kept()
}

#[cfg(test)]
mod tests {
    use super::{CAP, Growing, kept};

    #[test]
    fn of_a_long_message_beginning_and_end_are_kept_and_the_rest_is_counted() {
        assert_eq!(kept(" short\n"), "short");
        let exact = "x".repeat(CAP);
        assert_eq!(kept(&exact), exact);
        let long = format!("first {} last", "ä".repeat(100_000));
        let whole = kept(&long);
        let mut growing = Growing::default();
        for c in long.chars() {
            growing.push(c.encode_utf8(&mut [0; 4]));
        }
        for text in [whole, growing.kept()] {
            assert!(text.starts_with("first ") && text.ends_with(" last"), "{text}");
            let (begin, rest) = text.split_once("\n[… ").unwrap();
            let (dropped, end) = rest.split_once(" bytes dropped …]\n").unwrap();
            assert_eq!(begin.len() + dropped.parse::<usize>().unwrap() + end.len(), long.len());
            assert!(text.len() <= CAP + 60);
        }
    }
}
