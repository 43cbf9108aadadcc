//! The tests of `kugetsu-forge`.

#![allow(clippy::unwrap_used)]

mod promises;
mod rubbish;
mod servers;
mod tls;
