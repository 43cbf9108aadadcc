//! Times and numbers as people read them.

use std::time::Duration;

use jiff::tz::TimeZone;
use kugetsu_core::Timestamp;

/// A time of day in the local zone, with the date.
pub(crate) fn clock(at: Timestamp) -> String {
    let Some(at) = i64::try_from(at.as_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
    else {
        return "an unknown time".into();
    };
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time in UTC as programs read it.
pub(crate) fn rfc3339(at: Timestamp) -> Option<String> {
    let millis = i64::try_from(at.as_millis()).ok()?;
    Some(jiff::Timestamp::from_millisecond(millis).ok()?.to_string())
}

/// `0:07`, `12:34` or `1:02:03`.
pub(crate) fn stopwatch(time: Duration) -> String {
    let (hours, minutes, seconds) =
        (time.as_secs() / 3600, time.as_secs() / 60 % 60, time.as_secs() % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 commit`, `2 commits`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped, stopwatch};
    use std::time::Duration;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "commit"), "1 commit");
        assert_eq!(counted(2000, "commit"), "2,000 commits");
        assert_eq!(stopwatch(Duration::from_secs(7)), "0:07");
        assert_eq!(stopwatch(Duration::from_secs(754)), "12:34");
        assert_eq!(stopwatch(Duration::from_secs(3723)), "1:02:03");
    }
}
