//! The guard of plugins in tests: a test binary cannot be its own.

fn main() {
    kugetsu_guard::main_if_asked();
}
