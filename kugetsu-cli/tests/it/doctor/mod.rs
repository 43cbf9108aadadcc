//! `doctor`: what is broken is found and told, and mended without losing anything.

mod breakage;
mod directory;
mod programs;
mod report;
mod sessions;
mod store;
