//! What opencode tells, made into what an agent does.
//!
//! The reading is tolerant: opencode's versions add kinds of events, parts and fields, and none of
//! that may end a run. What is not known is skipped; what is not JSON is counted.

mod news;
#[cfg(test)]
mod tests;
mod text;
mod translate;

pub(crate) use news::{
    ErrorData, MessageInfo, News, Part, Permission, Question, Status, ToldError, read_event,
    read_line, read_log,
};
pub(crate) use text::first_line;
pub(crate) use translate::Translator;
