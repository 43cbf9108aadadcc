//! References to issues in free text.

use kugetsu_core::{IssueRef, Request};

/// What a text names.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Mentioned {
    /// The issues that it names in full, each once, in the order of the text.
    pub(crate) issues: Vec<IssueRef>,
    /// What names an issue without its repository, such as `#14` or `widgets#14`, each once.
    pub(crate) partial: Vec<String>,
}

impl Mentioned {
    /// Whether it names an issue, and none of them in full.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.issues.is_empty() && !self.partial.is_empty()
    }

    /// For whom the message is that names all this: for the agent of the one issue that it names in
    /// full, or else for the PM, who is told what is missing.
    pub(crate) fn request(&self, message: String) -> Request {
        match self.issues.as_slice() {
            [issue] => Request::dev(issue.clone(), message),
            [] if self.is_incomplete() => Request::pm(format!(
                "{message}\n\n(Note of kugetsu's: the message names {} without saying in full which \
                 repository is meant. A full reference is host/owner/repo#7, or owner/repo#7 on the \
                 default server. If it is not plain from what is open, start nothing and say what is \
                 missing.)",
                self.partial.join(", ")
            )),
            _ => Request::pm(message),
        }
    }

    /// The numbers of the partial references.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.partial.iter().filter_map(|text| text.rsplit('#').next()?.parse().ok())
    }
}

/// Reads the references in a text: `https://host/owner/repo/issues/1`, `host/owner/repo#1` and, on
/// the default server, `owner/repo#1`; never inside a longer word or an e-mail address, and never
/// in the address of anything else, such as a pull request.
pub(crate) fn mentioned(text: &str, default_server: Option<&str>) -> Mentioned {
    let mut found = Mentioned::default();
    for word in words(text) {
        match read(word, default_server) {
            Some(Read::Issue(issue)) if !found.issues.contains(&issue) => found.issues.push(issue),
            Some(Read::Partial(part)) if !found.partial.iter().any(|one| one == part) => {
                found.partial.push(part.to_owned());
            }
            _ => {}
        }
    }
    found
}

enum Read<'a> {
    Issue(IssueRef),
    Partial(&'a str),
}

/// Whether the character may be in a reference or an address, or makes a word longer.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "._-/#:@%?=&~+$".contains(c)
}

/// The words of a text, without the punctuation around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_of_word(c) && c != '\'' && c != '’').filter_map(|word| {
        // An apostrophe ends a reference, but what comes after it inside of a word is none.
        let mut parts = word.split(['\'', '’']);
        let first = parts.next().filter(|first| !first.is_empty());
        let quoted = if first.is_none() { parts.next() } else { None };
        first.or(quoted)
    })
}

fn read<'a>(word: &'a str, default_server: Option<&str>) -> Option<Read<'a>> {
    let word = word.trim_end_matches(['.', ':', '?', '-', '/', '=', '~', '_', '+', '&']);
    // What comes before a colon, unless it belongs to an address or a port.
    let word = match word.rfind(':') {
        Some(at) if !word[at + 1..].starts_with(|c: char| c == '/' || c.is_ascii_digit()) => {
            &word[at + 1..]
        }
        _ => word,
    };
    let word = word.trim_start_matches(['.', ':', '-', '~', '_', '+', '=']);
    if !word.is_ascii() || word.contains('@') {
        return None;
    }
    if let Ok(issue) = IssueRef::parse(word, default_server) {
        return Some(Read::Issue(issue));
    }
    let (name, number) = word.split_once('#')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    // Whatever has a slash is an address of something else.
    (is_number && !name.contains(['/', ':'])).then_some(Read::Partial(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> (Vec<String>, Vec<String>) {
        let found = mentioned(text, Some("github.com"));
        (found.issues.iter().map(ToString::to_string).collect(), found.partial)
    }

    #[test]
    fn full_references_are_found_whatever_stands_around_them() {
        let w7 = "github.com/acme/widgets#7";
        for (text, issues) in [
            ("Fix acme/widgets#7", &[w7][..]),
            ("Fix acme/widgets#7.", &[w7]),
            ("acme/widgets#7: it crashes", &[w7]),
            ("(acme/widgets#7)", &[w7]),
            ("Is acme/widgets#7?", &[w7]),
            ("\"acme/widgets#7\", please", &[w7]),
            ("'acme/widgets#7'", &[w7]),
            ("acme/widgets#7's test", &[w7]),
            ("acme/widgets#7’s test", &[w7]),
            ("**acme/widgets#7**", &[w7]),
            ("„acme/widgets#7“ — now", &[w7]),
            ("do:acme/widgets#7", &[w7]),
            ("github.com/acme/widgets#7", &[w7]),
            ("https://github.com/acme/widgets/issues/7", &[w7]),
            ("see https://github.com/acme/widgets/issues/7.", &[w7]),
            ("[it](https://github.com/acme/widgets/issues/7#issuecomment-1)", &[w7]),
            ("<https://github.com/acme/widgets/issues/7/>", &[w7]),
            ("GitHub.com/acme/widgets#7 and acme/widgets#7", &[w7]),
            ("git.example:8443/a/b#1", &["git.example:8443/a/b#1"]),
            ("a/b#1, c/d#2 and a/b#1", &["github.com/a/b#1", "github.com/c/d#2"]),
            ("git.example/group/sub/tool#3", &["git.example/group/sub/tool#3"]),
        ] {
            assert_eq!(names(text).0, issues, "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_not_taken_for_one() {
        for text in [
            "",
            "do something",
            "acme/widgets",
            "acme/widgets#",
            "acme/widgets#0",
            "acme/widgets#7a",
            "acme/widgets#-7",
            "xn@acme/widgets#7",
            "me@example.com/a#7",
            "@acme/widgets#7",
            "https://github.com/acme/widgets/pull/7",
            "https://github.com/acme/widgets/pull/7#issuecomment-12",
            "https://github.com/acme/widgets/pull/7/files#r12",
            "https://git.example/a/b/merge_requests/7",
            "https://example.com/page#7",
            "https://user:secret@github.com/acme/widgets/issues/7",
            "ünacme/widgets#7",
            "acme/widgets#7ü",
            "don't/x#1",
            "acme/widgets#7/x",
            "ftp://github.com/acme/widgets/issues/7",
            "../../x#1",
        ] {
            let (issues, partial) = names(text);
            assert!(issues.is_empty() && partial.is_empty(), "{text}: {issues:?} {partial:?}");
        }
    }

    #[test]
    fn parts_of_references_are_told() {
        for (text, partial) in [
            ("Fix #14.", &["#14"][..]),
            ("(#14) and #15, and #14", &["#14", "#15"]),
            ("widgets#14!", &["widgets#14"]),
            ("acme/widgets#1 and #2", &["#2"]),
        ] {
            assert_eq!(names(text).1, partial, "{text}");
        }
        let numbers: Vec<u64> = mentioned("#14 w#15", None).numbers().collect();
        assert_eq!(numbers, [14, 15]);
        assert_eq!(mentioned("a/b#1", None), Mentioned::default());
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in ".*") {
            let _ = mentioned(&text, Some("github.com"));
        }

        #[test]
        fn a_reference_among_words_is_found(
            before in "[ (\"*]|[a-z ]{0,20}[ (\"*,]",
            owner in "[a-z][a-z0-9-]{0,10}[a-z0-9]",
            name in "[a-z][a-z0-9._-]{0,10}[0-9]",
            number in 1..100_000_u64,
            after in "([.,:;!?)\"*']{0,3}| [a-z ]{0,20})",
        ) {
            let text = format!("{before}{owner}/{name}#{number}{after}");
            let found = names(&text).0;
            prop_assert_eq!(found, [format!("github.com/{owner}/{name}#{number}")], "{}", text);
        }

        #[test]
        fn a_reference_in_a_longer_word_is_not(
            glue in "[a-z0-9@]",
            number in 1..1000_u64,
        ) {
            let (before, after) =
                (format!("me{glue}@acme/widgets#{number}"), format!("acme/widgets#{number}x{glue}"));
            prop_assert!(names(&before).0.is_empty());
            prop_assert!(names(&after).0.is_empty());
        }
    }
}
