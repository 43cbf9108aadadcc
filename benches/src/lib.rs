//! criterion benches of kugetsu.
