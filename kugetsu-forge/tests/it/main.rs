//! The tests of `kugetsu-forge`.

mod promises;
mod rubbish;
mod servers;
