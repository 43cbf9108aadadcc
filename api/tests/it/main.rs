//! What the workspace promises as a whole.

mod growing;
mod msrv;
mod packages;
mod rustdoc;
mod surface;
mod workspace;
