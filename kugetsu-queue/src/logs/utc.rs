//! Times of the calendar, in UTC, as they stand in names and in logs.

use kugetsu_core::Timestamp;

const DAY: u64 = 86_400;

/// `20260101T000000Z`.
pub(super) fn name(at: Timestamp) -> String {
    let ((year, month, day), (hour, minute, second)) = parts(at);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// `2026-01-01T00:00:00Z`.
pub(crate) fn full(at: Timestamp) -> String {
    let ((year, month, day), (hour, minute, second)) = parts(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `00:00:00`.
pub(super) fn of_day(at: Timestamp) -> String {
    let (_, (hour, minute, second)) = parts(at);
    format!("{hour:02}:{minute:02}:{second:02}")
}

/// The time that a [`name`] says.
pub(super) fn of_name(name: &str) -> Option<Timestamp> {
    let (date, time) = name.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if date.len() != 8 || time.len() != 6 || !digits(date) || !digits(time) {
        return None;
    }
    let number = |text: &str| text.parse::<u64>().ok();
    let (year, month, day) = (number(&date[..4])?, number(&date[4..6])?, number(&date[6..])?);
    let (hour, minute, second) = (number(&time[..2])?, number(&time[2..4])?, number(&time[4..])?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    let at = Timestamp::from_millis(seconds * 1000);
    // Whatever the calendar does not have is no time.
    (self::name(at) == name).then_some(at)
}

fn parts(at: Timestamp) -> ((u64, u64, u64), (u64, u64, u64)) {
    let seconds = at.as_millis() / 1000;
    let (mut left, mut year) = (seconds / DAY, 1970);
    // Whole cycles of the calendar first, so that no clock makes this long.
    year += left / 146_097 * 400;
    left %= 146_097;
    while left >= 365 + leap(year) {
        left -= 365 + leap(year);
        year += 1;
    }
    let mut month = 1;
    while left >= length(year, month) {
        left -= length(year, month);
        month += 1;
    }
    ((year, month, left + 1), (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60))
}

/// Days from 1970-01-01 to this date.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year).map(|year| 365 + leap(year)).sum();
    let months: u64 = (1..month).map(|month| length(year, month)).sum();
    years + months + day - 1
}

fn length(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + leap(year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn leap(year: u64) -> u64 {
    u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_name_and_the_name_has_that_time() {
        for (seconds, named) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_767_225_600, "20260101T000000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (253_402_300_799, "99991231T235959Z"),
        ] {
            let at = Timestamp::from_millis(seconds * 1000);
            assert_eq!(name(at), named);
            assert_eq!(of_name(named), Some(at));
        }
        for wrong in ["", "20260230T000000Z", "20260101T240000Z", "2026010aT000000Z", "Z"] {
            assert_eq!(of_name(wrong), None, "{wrong}");
        }
        assert_eq!(full(Timestamp::from_millis(61_000)), "1970-01-01T00:01:01Z");
        assert!(!name(Timestamp::from_millis(u64::MAX)).is_empty());
    }
}
