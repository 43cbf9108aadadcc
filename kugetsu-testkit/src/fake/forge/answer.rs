use hyper::StatusCode;
use serde_json::{Value, json};

/// What a forge answers.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) document: Value,
    /// The address of the next page, or that to which a redirection points.
    pub(super) next: Option<String>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, document: Value) -> Self {
        Self { status, document, next: None }
    }

    pub(super) fn said(status: StatusCode, message: &str) -> Self {
        Self::new(status, json!({ "message": message }))
    }

    /// It is elsewhere.
    pub(super) fn elsewhere(address: String) -> Self {
        Self { next: Some(address), ..Self::new(StatusCode::FOUND, Value::Null) }
    }

    pub(super) fn not_found() -> Self {
        Self::said(StatusCode::NOT_FOUND, "Not Found")
    }

    /// One page of a list, as the query wants it.
    pub(super) fn page(all: Vec<Value>, size: usize, url: &str, path: &str) -> Self {
        let (plain, query) = path.split_once('?').unwrap_or((path, ""));
        let number = |name: &str| {
            let part = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            part.and_then(|part| part.parse::<usize>().ok())
        };
        let size = number("per_page").or(number("limit")).unwrap_or(size).min(size).max(1);
        let page = number("page").unwrap_or(1).max(1);
        let has_more = all.len() > page * size;
        let shown: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
        let others: Vec<&str> = query
            .split('&')
            .filter(|part| !part.is_empty() && !part.starts_with("page="))
            .collect();
        let next = has_more.then(|| {
            let page = format!("page={}", page + 1);
            let query = [others.as_slice(), &[page.as_str()]].concat().join("&");
            format!("{url}{plain}?{query}")
        });
        Self { next, ..Self::new(StatusCode::OK, Value::Array(shown)) }
    }
}

/// The value of a query's parameter, as it was before it was encoded.
pub(super) fn parameter(path: &str, name: &str) -> Option<String> {
    let (_, query) = path.split_once('?')?;
    let value = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
    Some(decoded(value))
}

/// The text as it was before it was encoded.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = code.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (*first, byte) {
            bytes.push(byte);
            rest = &others[2..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
