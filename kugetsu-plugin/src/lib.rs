//! Backends that are programs, in any language.
#![warn(missing_docs, unreachable_pub)]
