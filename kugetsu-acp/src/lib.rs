//! Runs any agent that speaks the Agent Client Protocol over its standard streams.
#![warn(missing_docs, unreachable_pub)]
