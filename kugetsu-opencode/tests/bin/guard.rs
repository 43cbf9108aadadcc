//! The guard of this crate's tests, which cannot be their own.

fn main() {
    kugetsu_guard::main()
}
