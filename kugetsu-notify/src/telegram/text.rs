//! Texts as chats show them.

/// The longest message that Telegram takes, in the UTF-16 units that it counts.
const LONGEST: usize = 4096;

const CUT: &str = "\n… (cut)";

/// The text without what could change how it is shown, and no longer than Telegram takes; where it was
/// cut it says so. Line ends and tabs stay. Never empty.
pub(super) fn shown(text: &str) -> String {
    let clean: String = text.chars().filter(|char| is_shown(*char)).collect();
    let clean = clean.trim();
    if clean.is_empty() {
        return "(empty)".to_owned();
    }
    if units(clean) <= LONGEST {
        return clean.to_owned();
    }
    let room = LONGEST - units(CUT);
    let mut taken = 0;
    let fitting = clean.chars().take_while(|char| {
        taken += char.len_utf16();
        taken <= room
    });
    fitting.chain(CUT.chars()).collect()
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

fn is_shown(char: char) -> bool {
    match char {
        '\n' | '\t' => true,
        // Marks that turn the direction of writing can make a text read as another one.
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => false,
        other => !other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_comes_as_it_is() {
        assert_eq!(shown("a *b* <i>c</i>\n\t@all"), "a *b* <i>c</i>\n\t@all");
        assert_eq!(shown(&"x".repeat(4096)), "x".repeat(4096));
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        for text in ["x".repeat(4097), "👩".repeat(3000), "ä".repeat(100_000)] {
            let shown = shown(&text);
            assert!(shown.ends_with(CUT));
            assert!((4095..=4096).contains(&units(&shown)), "{}", units(&shown));
        }
    }

    #[test]
    fn control_characters_and_turned_directions_are_left_out() {
        assert_eq!(shown("a\u{1b}[31mb\u{202e}c\r\0\u{9b}d"), "a[31mbcd");
        assert_eq!(shown("\u{7}\n "), "(empty)");
    }
}
