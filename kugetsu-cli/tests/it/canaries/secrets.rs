//! The secrets that are planted, and every form in which one could come to light.

use std::fmt::Write as _;

/// A secret in the variable of this name.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) value: String,
}

/// Forty of all shapes, each unlike everything else that is ever written.
pub(super) fn planted() -> Vec<Secret> {
    let mut values: Vec<String> = (0..8).map(|n| noise(n, 8)).collect();
    values.extend((8..12).map(|n| format!("ghp_{}", noise(n, 32))));
    values.extend((12..16).map(|n| noise(n, 100)));
    values.extend((16..20).map(|n| pem(n, "\n")));
    values.extend((20..22).map(|n| pem(n, "\r\n")));
    values.extend((22..24).map(|n| format!("{}\n", noise(n, 24))));
    values.push(format!("\"{}\" it's $HOME `date`", noise(24, 10)));
    values.push(format!("$({})\\n\\\\'\"'", noise(25, 12)));
    values.push(format!("{}#!;&|<>~", noise(26, 9)));
    values.extend((27..29).map(|n| format!("schlüssel-{}-🔑", noise(n, 8))));
    values.extend((29..32).map(|n| {
        format!("{{\"user\": \"me\", \"key\": \"{}\", \"of\": [\"a\\\\b\"]}}", noise(n, 16))
    }));
    values.extend((32..35).map(|n| format!("{}+/{}==", noise(n, 14), noise(n + 100, 14))));
    values.push(format!("a.c+(x|y)*[^{}]?$", noise(35, 8)));
    let (part, whole) = (values[12][10..40].to_owned(), format!("x{}y", values[8]));
    values.extend([part, whole]);
    values.push(format!("  {}  ", noise(38, 12)));
    values.push(format!("https://me:{}@example.com/?a=b&c=%20d", noise(39, 12)));
    let kinds = ["TOKEN", "SECRET", "PASSWORD", "API_KEY"];
    let named = |(n, value): (usize, String)| Secret {
        name: format!("CANARY_{n}_{}", kinds[n % kinds.len()]),
        value,
    };
    values.into_iter().enumerate().map(named).collect()
}

/// So many letters and digits that look like chance and are always the same.
fn noise(seed: u64, length: usize) -> String {
    const DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let digit = |_| {
        state = (state ^ (state >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(seed);
        char::from(DIGITS[usize::try_from((state >> 33) % 62).unwrap()])
    };
    (0..length).map(digit).collect()
}

fn pem(seed: u64, end: &str) -> String {
    let lines = [seed * 3 + 1000, seed * 3 + 1001, seed * 3 + 1002].map(|n| noise(n, 40));
    let [one, two, three] = lines;
    format!("-----BEGIN KEY-----{end}{one}{end}{two}{end}{three}{end}-----END KEY-----{end}")
}

impl Secret {
    /// What nobody may ever see, with what it is called.
    pub(super) fn forms(&self) -> Vec<(&'static str, String)> {
        let whole = self.value.trim();
        let mut forms: Vec<(&str, String)> = self.said();
        // Every programme that speaks of keys writes the first and the last line of one.
        let own = |line: &&str| line.chars().count() >= 6 && !line.starts_with("-----");
        forms.extend(whole.lines().map(str::trim).filter(own).map(|line| ("a line", line.into())));
        for before in 0..3 {
            // What stands in front and behind has a part in the digits at the edges.
            let text = [&b"me:"[..before], whole.as_bytes(), b"you"].concat();
            let (first, last) = ((before * 8).div_ceil(6), (before + whole.len()) * 8 / 6);
            let inside = base64(&text)[first..last].to_owned();
            forms.push(("base64 for URLs", inside.replace('+', "-").replace('/', "_")));
            forms.push(("base64", inside));
        }
        forms
    }

    /// How an agent, or a tool of its, says it.
    pub(super) fn said(&self) -> Vec<(&'static str, String)> {
        let whole = self.value.trim();
        let json = serde_json::Value::from(whole).to_string();
        let in_json = serde_json::Value::from(json[1..json.len() - 1].to_owned()).to_string();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let percent = |upper: bool| {
            whole.bytes().fold(String::new(), |mut all, byte| {
                let _ = match (plain(byte), upper) {
                    (true, _) => write!(all, "{}", char::from(byte)),
                    (false, true) => write!(all, "%{byte:02X}"),
                    (false, false) => write!(all, "%{byte:02x}"),
                };
                all
            })
        };
        let hex = whole.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        vec![
            ("itself", whole.to_owned()),
            ("JSON", json[1..json.len() - 1].to_owned()),
            ("JSON in JSON", in_json[1..in_json.len() - 1].to_owned()),
            ("percent-encoded", percent(true)),
            ("percent-encoded in small letters", percent(false)),
            ("hexadecimal", hex.clone()),
            ("hexadecimal in capitals", hex.to_uppercase()),
            ("quoted for a shell", whole.replace('\'', r"'\''")),
        ]
    }

    /// The same in base64, alone and behind a user's name.
    pub(super) fn encoded(&self) -> Vec<String> {
        let of = |front: &str| base64(format!("{front}{}", self.value.trim()).as_bytes());
        let all = ["", "u:", "me:"].map(of);
        let for_urls = |text: &String| text.replace('+', "-").replace('/', "_").replace('=', "");
        all.iter().map(for_urls).chain(all.clone()).collect()
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            let digit = DIGITS[usize::try_from(bits >> (18 - 6 * index) & 63).unwrap()];
            let is_there = index <= three.len();
            text.push(if is_there { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Where a secret has come to light.
#[derive(Default)]
pub(super) struct Search {
    needles: Vec<(String, &'static str, String)>,
    pub(super) found: Vec<String>,
}

impl Search {
    pub(super) fn of(secrets: &[Secret]) -> Self {
        let needles = secrets.iter().flat_map(|secret| {
            secret.forms().into_iter().map(|(form, text)| (secret.name.clone(), form, text))
        });
        Self { needles: needles.collect(), found: Vec::new() }
    }

    pub(super) fn look(&mut self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for (name, form, needle) in &self.needles {
            if let Some(at) = text.find(needle) {
                let before: String = text[..at].chars().rev().take(60).collect();
                let before: String = before.chars().rev().collect();
                self.found.push(format!("{place}: {name} ({form}) behind {before:?}"));
            }
        }
    }
}

#[test]
fn the_search_sees_what_it_looks_for() {
    let secrets = planted();
    assert_eq!(secrets.len(), 40);
    for secret in &secrets {
        for text in secret.said().into_iter().map(|(_, text)| text).chain(secret.encoded()) {
            let mut search = Search::of(std::slice::from_ref(secret));
            search.look("here", format!("so {text} it is").as_bytes());
            assert!(!search.found.is_empty(), "{text}");
        }
    }
    assert_eq!(base64(b"me:hunter2"), "bWU6aHVudGVyMg==");
}
