//! The public surface of the crates that promise one, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use public_api::Builder;

use crate::rustdoc;

/// The items in rustdoc's order, and for each type which traits it derives.
fn surface(name: &str) -> String {
    let file = rustdoc::file(name);
    let lines = |derived: bool| -> Vec<String> {
        let builder = Builder::from_rustdoc_json(&file)
            .omit_blanket_impls(true)
            .omit_auto_trait_impls(true)
            .omit_auto_derived_impls(!derived);
        builder.build().unwrap().to_string().lines().map(str::to_owned).collect()
    };
    let written = lines(false);
    let all = lines(true);
    let text =
        once_each(&name.replace('-', "_"), &written).into_iter().chain(derives(&all, &written));
    text.map(|line| line + "\n").collect()
}

/// Without what the crate's root repeats of its modules, but for a line that says so.
fn once_each(root: &str, lines: &[String]) -> Vec<String> {
    let there: BTreeSet<&String> = lines.iter().collect();
    let module = format!("pub mod {root}::");
    let modules: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(&module)).collect();
    let at_root = format!("{root}::");
    let (mut kept, mut told) = (Vec::new(), BTreeSet::new());
    for line in lines {
        let (before, rest) = line.split_once(&at_root).unwrap_or((line, ""));
        let elsewhere =
            |module: &&&str| there.contains(&format!("{before}{root}::{module}::{rest}"));
        match modules.iter().find(elsewhere) {
            Some(module) => {
                let item = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                if told.insert(item) {
                    kept.push(format!("pub use {root}::{module}::{item}"));
                }
            }
            None => kept.push(line.clone()),
        }
    }
    let mut seen = BTreeSet::new();
    kept.retain(|line| seen.insert(line.clone()));
    kept
}

/// One line for each type, in place of the methods that its derived traits bring.
fn derives(all: &[String], written: &[String]) -> Vec<String> {
    let written: BTreeSet<&String> = written.iter().collect();
    let mut derived: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in all.iter().filter(|line| line.starts_with("impl") && !written.contains(line)) {
        let Some((of, whose)) = line.split_once(" for ") else { continue };
        let of = of.split_whitespace().last().unwrap();
        let of = of.split('<').next().unwrap().rsplit("::").next().unwrap();
        if of != "StructuralPartialEq" {
            derived.entry(whose).or_default().insert(of);
        }
    }
    let line = |(whose, of): (&str, BTreeSet<&str>)| {
        format!("derive({}) for {whose}", of.into_iter().collect::<Vec<_>>().join(", "))
    };
    derived.into_iter().map(line).collect()
}

/// Compares the crate's surface with the one that is written down.
fn is_as_written(name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).with_extension("txt");
    let now = surface(name);
    if std::env::var_os("UPDATE_API").is_some_and(|value| value == "1") {
        fs::write(&file, &now).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (now, written) = (lines(&now), lines(&written));
    let gone = written.difference(&now).map(|line| format!("-{line}\n"));
    let new = now.difference(&written).map(|line| format!("+{line}\n"));
    let changes: String = gone.chain(new).collect();
    assert!(
        changes.is_empty(),
        "the public surface of {name} is not as api/{name}.txt says:\n\n{changes}\n\
         A line that goes or changes breaks whoever uses it: before 1.0 that is another minor \
         version, afterwards another major one, and either way a line in CHANGELOG.md. A line that \
         is new breaks nobody, unless it is a required method of a trait, a field of a struct or a \
         variant of an enum that is exhaustive on purpose.\n\
         If that is meant: UPDATE_API=1 cargo test -p kugetsu-api surface"
    );
}

#[test]
fn the_surface_of_core_is_as_written() {
    is_as_written("kugetsu-core");
}

#[test]
fn the_surface_of_the_testkit_is_as_written() {
    is_as_written("kugetsu-testkit");
}
