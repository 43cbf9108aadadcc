//! startup
fn main() {}
