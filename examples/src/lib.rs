//! Whole programs that use kugetsu.
