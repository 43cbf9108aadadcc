//! The guard of an agent's process tree, for programs that cannot be their own.
//!
//! Nobody starts this by hand: it reads what to guard from the program that starts it.

fn main() {
    kugetsu_guard::main()
}
