//! Values of options.

use std::time::Duration;

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no time; write it as 30s, 10m, 2h or 7d");
    let time: jiff::Span = text.parse().map_err(|_| refused())?;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let time = time.to_duration(days).map_err(|_| refused())?;
    Duration::try_from(time).map_err(|_| refused())
}

pub(crate) fn key(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) || text.len() > 200 {
        return Err("a key is 1 to 200 bytes without control characters".to_owned());
    }
    Ok(text.to_owned())
}
