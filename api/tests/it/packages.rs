//! What may grow says so, and what may not says why.
