//! Every verb of the contract has its async twin: the lists of both public APIs are compared.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The traits of the contract, and the types that have their methods as futures.
const TWINS: [(&str, &str); 6] = [
    ("Container", "AsyncContainer"),
    ("ContainerExt", "AsyncContainer"),
    ("ContainerRuntime", "AsyncRuntime"),
    ("ContainerRuntimeExt", "AsyncRuntime"),
    ("Image", "AsyncImage"),
    ("ImageExt", "AsyncImage"),
];

/// What has no twin: for backends and wrappers, or under another name.
const WITHOUT: [&str; 6] = [
    "Container::inner",
    "Container::as_any",
    "ContainerExt::spawn_command", // `AsyncContainer::spawn`; the contract's own is for backends.
    "ContainerRuntime::inner",
    "ContainerRuntime::pull_image", // `AsyncRuntime::pull_image` has its progress in a stream.
    "Image::inner",
];

/// The methods of one crate, by type and name, and how many arguments each has.
fn methods(package: &str) -> BTreeMap<(String, String), usize> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../api/{package}.txt"));
    let prefix = format!("pub fn {}::", package.replace('-', "_"));
    let list = fs::read_to_string(path).unwrap();
    let method = |line: &str| {
        // `async fn` is another way to return a future.
        let line = line.replacen("pub async fn", "pub fn", 1);
        let (path, rest) = line.strip_prefix(&prefix)?.split_once('(')?;
        let (kind, name) = path.split_once("::")?;
        let name = name.split('<').next()?;
        Some(((kind.to_owned(), name.to_owned()), arguments(rest)))
    };
    list.lines().filter_map(method).collect()
}

/// Counts what stands between the parentheses of a signature.
fn arguments(signature: &str) -> usize {
    let (mut depth, mut count) = (0, 1);
    for sign in signature.chars() {
        match sign {
            '(' | '<' | '[' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '>' => depth -= 1,
            ',' if depth == 0 => count += 1,
            _ => {}
        }
    }
    count
}

#[test]
fn no_verb_is_forgotten() {
    let (contract, ours) = (methods("rt-protocol"), methods("rt-tokio"));
    let mut seen = 0;
    let mut missing = Vec::new();
    for ((kind, name), count) in &contract {
        let Some((_, twin)) = TWINS.iter().find(|(original, _)| original == kind) else { continue };
        seen += 1;
        let path = format!("{kind}::{name}");
        if WITHOUT.contains(&path.as_str()) {
            continue;
        }
        match ours.get(&((*twin).to_owned(), name.clone())) {
            None => missing.push(format!("{path} has no twin {twin}::{name}")),
            Some(other) if other != count => {
                missing.push(format!("{path} has {count} arguments, and its twin {other}"));
            }
            Some(_) => {}
        }
    }
    assert!(seen > 60, "only {seen} methods of the contract were found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
