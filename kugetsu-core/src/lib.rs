//! The words and promises of kugetsu: types, traits and the task's state machine, without any I/O.
