//! What is published.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::workspace::{cargo, metadata, name, output, published, root};

#[test]
fn each_package_says_what_it_is_and_carries_its_page_and_its_licences() {
    let metadata = metadata();
    for package in published(&metadata) {
        let which = name(package);
        for key in ["description", "license", "readme"] {
            assert!(package[key].is_string(), "{which} has no {key}");
        }
        assert_eq!(package["metadata"]["docs"]["rs"]["all-features"], true, "{which}");

        let mut list = cargo();
        list.args(["package", "--list", "--allow-dirty", "--offline", "--locked", "--quiet"]);
        let files = output(list.arg("--package").arg(which));
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs"] {
            assert!(files.lines().any(|line| line == file), "{which} has no {file}:\n{files}");
        }
        let directory = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let text = |directory: &Path| fs::read_to_string(directory.join(licence)).unwrap();
            assert_eq!(text(directory), text(&root()), "{which}: {licence}");
        }
    }
}

#[test]
fn each_package_depends_on_ours_by_the_version_that_is_published_with_it() {
    let metadata = metadata();
    let published = published(&metadata);
    let mut among_us = 0;
    for package in &published {
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["path"].is_null() {
                continue;
            }
            // A package has no dependency for its tests that has a path and no version.
            if dependency["kind"] == "dev" && dependency["req"] == "*" {
                continue;
            }
            let of = published.iter().find(|other| other["name"] == dependency["name"]);
            let of = of.unwrap_or_else(|| {
                panic!("{} depends on {}, which is not published", name(package), name(dependency))
            });
            let wanted = format!("^{}", of["version"].as_str().unwrap());
            assert_eq!(dependency["req"], wanted, "{} in {}", name(dependency), name(package));
            among_us += 1;
        }
    }
    assert!(among_us > 10, "{among_us}");
}

/// The features of a package that somebody can ask for.
fn features(package: &Value) -> Vec<&String> {
    let features = package["features"].as_object().unwrap();
    features.keys().filter(|feature| *feature != "default").collect()
}

#[test]
fn each_feature_stands_in_the_table_of_its_crates_documentation() {
    let metadata = metadata();
    let mut found = 0;
    for package in published(&metadata) {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let source = fs::read_to_string(manifest.with_file_name("src").join("lib.rs")).unwrap();
        for feature in features(package) {
            let row = format!("//! | `{feature}` |");
            assert!(
                source.contains(&row),
                "the documentation of {} has no row `{row}` for its feature",
                name(package)
            );
            found += 1;
        }
        let is_marked = source.contains("#![cfg_attr(docsrs, feature(doc_cfg))]");
        assert!(
            features(package).is_empty() || is_marked,
            "docs.rs would not say what of {} needs which feature",
            name(package)
        );
    }
    assert!(found > 0);
}
