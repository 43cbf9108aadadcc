//! Ends whole process trees with their owner, however it dies.
#![warn(missing_docs, unreachable_pub)]
