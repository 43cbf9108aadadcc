//! The least that a Rust program is: what the start of kugetsu is measured against.

fn main() {
    println!("hello");
}
