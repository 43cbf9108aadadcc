mod answers;
mod caller;
mod failures;
mod opencode;
mod program;
mod record;
