//! What may grow says so to the compiler, and what may not says why to its reader.

use std::fs;
use std::path::Path;

use rustdoc_types::{
    Attribute, Crate, GenericArg, GenericArgs, Item, ItemEnum, StructKind, Type, Visibility,
};

use crate::rustdoc;
use crate::workspace::{metadata, name, published, root};

/// How a line begins that says why a type is complete.
const REASON: &str = "Exhaustive: ";

/// How a line begins that says where values of a type come from which nobody else makes.
const MAKER: &str = "Made by ";

/// The public structs with public fields, and the public enums.
fn open_types(all: &Crate) -> Vec<&Item> {
    let is_open = |item: &&Item| match &item.inner {
        ItemEnum::Enum(_) => true,
        ItemEnum::Struct(it) => match &it.kind {
            StructKind::Unit => false,
            StructKind::Tuple(fields) => fields.iter().all(Option::is_some),
            // One with private fields besides can neither be written down nor taken apart.
            StructKind::Plain { fields, has_stripped_fields } => {
                !fields.is_empty() && !has_stripped_fields
            }
        },
        _ => false,
    };
    let ours = |item: &&Item| item.crate_id == 0 && item.visibility == Visibility::Public;
    let mut types: Vec<&Item> = all.index.values().filter(ours).filter(is_open).collect();
    types.sort_by_key(|item| &item.name);
    types
}

/// Whether a function's answer is such a value, or perhaps one.
fn gives(answer: &Type) -> bool {
    match answer {
        Type::Generic(name) => name == "Self",
        Type::ResolvedPath(path) if ["Option", "Result"].contains(&path.path.as_str()) => {
            let arguments = path.args.as_deref();
            let Some(GenericArgs::AngleBracketed { args, .. }) = arguments else { return false };
            matches!(args.first(), Some(GenericArg::Type(it)) if gives(it))
        }
        _ => false,
    }
}

/// Whether somebody outside can come by a value of this struct: a function that makes one of
/// nothing but its arguments, or an implementation of `Default` or `FromStr`.
fn can_be_made(all: &Crate, item: &Item) -> bool {
    let ItemEnum::Struct(it) = &item.inner else { return true };
    let made_by = |implementation: &rustdoc_types::Impl| {
        if let Some(of) = &implementation.trait_ {
            return ["Default", "FromStr"].contains(&of.path.as_str());
        }
        implementation.items.iter().any(|id| {
            let method = &all.index[id];
            let ItemEnum::Function(function) = &method.inner else { return false };
            let takes_self = function.sig.inputs.first().is_some_and(|(name, _)| name == "self");
            let is_public = method.visibility == Visibility::Public;
            is_public && !takes_self && function.sig.output.as_ref().is_some_and(gives)
        })
    };
    it.impls.iter().any(|id| match &all.index[id].inner {
        ItemEnum::Impl(implementation) => made_by(implementation),
        _ => false,
    })
}

/// What is wrong with the types of the crate, one sentence each.
fn complaints(name: &str) -> Vec<String> {
    let all = rustdoc::read(name);
    let types = open_types(&all);
    assert!(types.len() > 3, "{name}: {}", types.len());
    let complaint = |item: &Item| {
        let docs = item.docs.as_deref().unwrap_or_default();
        let says = |start: &str| docs.lines().any(|line| line.starts_with(start));
        let grows = item.attrs.contains(&Attribute::NonExhaustive);
        let wrong = match (grows, says(REASON)) {
            (true, true) => "may grow, and its docs say that it will not",
            (true, false) if !can_be_made(&all, item) && !says(MAKER) => {
                "may grow, and has neither a constructor, nor says who makes it"
            }
            (false, false) => "is neither `#[non_exhaustive]`, nor says why it will never grow",
            _ => return None,
        };
        Some(format!("{name}: {} {wrong}\n", item.name.as_deref().unwrap()))
    };
    types.into_iter().filter_map(complaint).collect()
}

#[test]
fn what_may_grow_says_so_and_can_be_made_and_what_may_not_says_why() {
    let mut wrong = complaints("kugetsu-core");
    wrong.extend(complaints("kugetsu-testkit"));
    assert!(
        wrong.is_empty(),
        "{}A line of its docs that begins with `{REASON}` says why a type is complete; one that begins \
         with `{MAKER}` says where the values come from that nobody else makes.",
        wrong.concat()
    );
}

/// Whether each field of the struct that begins with this line is public. Of a unit it is none.
fn is_open(line: &str, rest: &[&str]) -> bool {
    if let Some((_, fields)) = line.split_once('(') {
        return fields.split(", ").all(|field| field.starts_with("pub "));
    }
    let body = rest.iter().take_while(|line| **line != "}");
    let mut fields = body.filter(|line| {
        line.starts_with("    ") && line.trim_start().starts_with(|c: char| c.is_alphabetic())
    });
    line.ends_with('{') && fields.all(|field| field.starts_with("    pub "))
}

/// What is wrong with the types in a source file. Those that are `pub` and cannot be reached from
/// outside are found by a lint.
fn in_source(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut wrong = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_struct = line.starts_with("pub struct ");
        if !(line.starts_with("pub enum ") || is_struct && is_open(line, &lines[at + 1..])) {
            continue;
        }
        let before = lines[..at].iter().rev().take_while(|line| !line.is_empty());
        let says = |what: &str| before.clone().any(|line| line.starts_with(what));
        if says("#[non_exhaustive]") == says(&format!("/// {REASON}")) {
            wrong.push(format!("{}:{}: {line}\n", file.display(), at + 1));
        }
    }
    wrong
}

fn sources(directory: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, visit);
        } else if path.extension().is_some_and(|end| end == "rs") {
            visit(&path);
        }
    }
}

#[test]
fn each_crates_types_say_whether_they_may_grow() {
    let (mut wrong, mut files) = (Vec::new(), 0);
    for package in published(&metadata()) {
        sources(&root().join(name(package)).join("src"), &mut |file| {
            wrong.extend(in_source(file));
            files += 1;
        });
    }
    assert!(files > 300, "{files}");
    assert!(
        wrong.is_empty(),
        "{}Each needs either `#[non_exhaustive]`, or a line of its docs that begins with `{REASON}` \
         and says why it is complete.",
        wrong.concat()
    );
}
