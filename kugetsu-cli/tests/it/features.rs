//! The table of what is promised, in `docs/features.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of all functions in the Rust sources below.
fn functions(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
                Some(rest[..end].to_owned())
            });
            found.extend(names);
        }
    }
}

/// The names of all functions of all crates.
fn all_functions(root: &Path) -> BTreeSet<String> {
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && is_crate(&path) {
            functions(&path, &mut there);
        }
    }
    there
}

#[test]
fn each_test_that_holds_an_invariant_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let there = all_functions(root);
    let house = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, rest) = house.split_once("## Invariants").unwrap();
    let (invariants, _) = rest.split_once("\n## ").unwrap();
    let is_sentence =
        |name: &&str| name.matches('_').count() > 2 && !name.contains([' ', '/', '!']);
    let named: Vec<&str> = invariants.split('`').skip(1).step_by(2).filter(is_sentence).collect();
    assert!(named.len() > 50, "{named:?}");
    for name in named {
        let name = name.rsplit("::").next().unwrap();
        assert!(there.contains(name), "there is no test {name}");
    }
}

#[test]
fn each_test_in_the_table_of_features_is_there_and_each_feature_has_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let there = all_functions(root);
    let table = fs::read_to_string(root.join("docs/features.md")).unwrap();
    let mut bugs = BTreeSet::new();
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what")) {
        let cells: Vec<&str> = row.trim_matches('|').rsplitn(2, " | ").collect();
        let tests: Vec<&str> = cells[0].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty() || cells[0].contains("not in this version"), "{row}");
        for test in tests {
            let name = test.rsplit("::").next().unwrap();
            assert!(there.contains(name), "there is no test {name}:\n{row}");
            if let Some(number) = name.strip_prefix("bug_") {
                bugs.extend(number.split('_').next().unwrap().parse::<u32>());
            }
        }
        rows += 1;
    }
    assert!(rows > 80, "{rows}");
    assert_eq!(bugs, (1..=13).collect());
}

fn is_crate(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.starts_with("kugetsu") || name == "api" || name == "examples"
}
