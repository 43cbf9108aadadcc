//! The git servers that were added: whether they answer.

use super::{Examination, Found};

pub(in super::super) async fn check(_of: &Examination<'_>) -> Found {
    Ok(Vec::new())
}
