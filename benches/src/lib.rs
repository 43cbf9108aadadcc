//! criterion benches of kugetsu, each path beside its yardstick, and the report that `scripts/bench` makes of them.

pub mod report;
