//! A line of the journal: sealed, so that one that was changed or lost is noticed.
//!
//! ```text
//! {"format":"kugetsu.journal/1","generation":0,"sum":"2f1d3c4b"}
//! {"seq":1,"record":{"memo":{"name":"a","text":"b"}},"sum":"0a1b2c3d"}
//! ```
//!
//! The sum is the CRC-32 (that of zip and gzip) of the line as it would be without it, as eight
//! hexadecimal digits.

use std::fmt::Write as _;

use crate::fault::Fault;

/// The newest format, which is the one that is written.
pub(super) const FORMAT: u32 = 1;

const NAME: &str = "kugetsu.journal/";

/// `,"sum":"` and what follows.
const SEAL: usize = r#","sum":"00000000"}"#.len();

/// The first line.
pub(super) fn header(generation: u64) -> String {
    sealed(format!(r#"{{"format":"{NAME}{FORMAT}","generation":{generation}"#))
}

/// The line of a record.
pub(super) fn of(seq: u64, record: &str) -> String {
    sealed(format!(r#"{{"seq":{seq},"record":{record}"#))
}

/// Where the record's own text begins in its line.
pub(super) fn record_at(seq: u64) -> usize {
    r#"{"seq":,"record":"#.len() + seq.to_string().len()
}

/// The generation that the first line names.
pub(super) fn generation(line: &[u8]) -> Result<u64, Fault> {
    let foreign = || Fault::Damaged("it is empty, or not a journal of kugetsu".into());
    let begin = format!(r#"{{"format":"{NAME}"#);
    let rest = line.strip_prefix(begin.as_bytes()).ok_or_else(foreign)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let found = std::str::from_utf8(&rest[..digits]).ok().and_then(|text| text.parse().ok());
    match found {
        Some(FORMAT) => {}
        // A newer format may be sealed in another way.
        Some(found) if found > FORMAT && rest.get(digits) == Some(&b'"') => {
            return Err(Fault::Newer { found, known: FORMAT });
        }
        _ => return Err(foreign()),
    }
    let said = unsealed(line).map_err(|why| Fault::Damaged(format!("line 1: {why}")))?;
    let begin = format!(r#"{begin}{FORMAT}","generation":"#);
    said.strip_prefix(&begin).and_then(|number| number.parse().ok()).ok_or_else(foreign)
}

/// The record in the line, which has to be this one.
pub(super) fn record(line: &[u8], seq: u64) -> Result<&str, String> {
    let said = unsealed(line)?;
    let begin = format!(r#"{{"seq":{seq},"record":"#);
    said.strip_prefix(&begin).ok_or_else(|| {
        let said: String = said.chars().take(20).collect();
        format!("record {seq} has to stand here, and it begins with {said:?}")
    })
}

/// The record in the line, whichever it is: its number, where its text begins, and its text.
pub(super) fn any_record(line: &[u8]) -> Option<(u64, usize, &str)> {
    let said = unsealed(line).ok()?;
    let (seq, _) = said.strip_prefix(r#"{"seq":"#)?.split_once(',')?;
    let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
    Some((seq, record_at(seq), record(line, seq).ok()?))
}

/// Whether it is a whole line, its end aside.
pub(super) fn is_whole(line: &[u8]) -> bool {
    unsealed(line).is_ok()
}

fn sealed(mut text: String) -> String {
    let sum = crc(&[text.as_bytes(), b"}"]);
    let _ = writeln!(text, r#","sum":"{sum:08x}"}}"#);
    text
}

/// What the seal is around, without its closing brace.
fn unsealed(line: &[u8]) -> Result<&str, String> {
    let at = line.len().checked_sub(SEAL).ok_or("it is too short")?;
    let (text, seal) = line.split_at(at);
    let sum = crc(&[text, b"}"]);
    if seal != format!(r#","sum":"{sum:08x}"}}"#).as_bytes() {
        return Err(format!("it does not match its checksum, which would be {sum:08x}"));
    }
    std::str::from_utf8(text).map_err(|_| "it is not UTF-8".into())
}

pub(super) fn crc(parts: &[&[u8]]) -> u32 {
    let step = |sum: u32, byte: &u8| (sum >> 8) ^ TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize];
    !parts.iter().copied().flatten().fold(!0, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0u32;
    while index < 256 {
        let mut sum = index;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        table[index as usize] = sum;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_everybody_has() {
        assert_eq!(crc(&[b"1234", b"56789"]), 0xcbf4_3926);
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let line = of(12, r#"{"a":"ü"}"#);
        let line = line.trim_end().as_bytes();
        assert_eq!(record(line, 12).unwrap(), r#"{"a":"ü"}"#);
        assert_eq!(&line[record_at(12)..record_at(12) + 4], br#"{"a""#);
        assert!(record(line, 13).is_err());
        assert_eq!(generation(header(7).trim_end().as_bytes()).unwrap(), 7);
    }

    #[test]
    fn no_bit_may_flip() {
        for (line, is_header) in [(header(3), true), (of(12, r#"{"a":1}"#), false)] {
            let line = line.trim_end().as_bytes();
            for bit in 0..line.len() * 8 {
                let mut flipped = line.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                if is_header {
                    assert!(generation(&flipped).is_err(), "bit {bit}");
                } else {
                    assert!(record(&flipped, 12).is_err(), "bit {bit}");
                }
            }
        }
    }
}
