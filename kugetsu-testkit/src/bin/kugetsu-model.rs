//! The scripted model as a program; see `kugetsu_testkit::model` for what prompts can say.
fn main() {}
