//! What the fakes promise beyond the traits.

mod agent;
mod clock;
mod strict;
