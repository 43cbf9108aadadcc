//! Durable stores, slots and the line on which kugetsu's agents run.
