//! Import circles between the files of a crate: files that name each other in a loop cannot be
//! understood one by one.
//!
//! An arrow is a path that begins with `crate`, `self`, `super` or a module of the file's own, in
//! an import or in code. What is imported from a re-export counts as imported from where it stands.
//! Left out are tests, and what the root of a crate re-exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Token, UseTree, Visibility};

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

/// A path of modules below the root of a crate; empty for the root.
type Module = Vec<String>;

/// The files that each file names, both by their modules.
type Arrows = BTreeMap<Module, BTreeSet<Module>>;

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let mut circles = Vec::new();
    for (name, member) in &workspace.members {
        let sources = member.manifest.with_file_name("src");
        for root in ["lib.rs", "main.rs"].map(|name| sources.join(name)).iter().filter(|root| root.exists()) {
            let files = read(root)?;
            circles.extend(find_circles(&arrows(&files)).iter().map(|circle| describe(name, circle)));
        }
    }
    if circles.is_empty() { Ok(()) } else { Err(Failure::new(circles.join("\n"))) }
}

fn describe(name: &str, circle: &[Module]) -> String {
    let files: Vec<_> = circle.iter().map(|module| module.join("/")).collect();
    format!("{name}: {} files import each other in a circle: {}", files.len(), files.join(", "))
}

/// What one file says of others.
#[derive(Debug, Default)]
struct File {
    module: Module,
    children: BTreeSet<String>,
    paths: Vec<Vec<String>>,
    /// The paths behind the names that the file hands on.
    exports: BTreeMap<String, Vec<String>>,
    /// How deep in modules written inside this file the walk is.
    inline: usize,
}

/// The files below the root file of a crate, as far as `mod` items lead to them.
fn read(root: &Path) -> Result<BTreeMap<Module, File>> {
    let mut files = BTreeMap::new();
    let mut open = vec![(Module::new(), root.to_owned(), root.parent().unwrap_or(root).to_owned())];
    while let Some((module, path, folder)) = open.pop() {
        let text = fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
        let file =
            parse(module, &text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        for child in &file.children {
            let module = join(&file.module, child);
            open.push((module, folder.join(child).with_extension("rs"), folder.join(child)));
        }
        files.insert(file.module.clone(), file);
    }
    Ok(files)
}

fn parse(module: Module, text: &str) -> syn::Result<File> {
    let mut file = File { module, ..File::default() };
    file.visit_file(&syn::parse_file(text)?);
    Ok(file)
}

fn join(module: &[String], name: &str) -> Module {
    [module, &[name.to_owned()]].concat()
}

impl File {
    /// The path from the root of the crate, if it is one of this crate.
    fn path_from_root(&self, path: &[String]) -> Option<Vec<String>> {
        let first = path.first()?;
        let supers = path.iter().take_while(|name| *name == "super").count();
        let rest = match first.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "super" => &path[supers..],
            "self" => &path[1..],
            name if self.children.contains(name) && self.inline == 0 => path,
            _ => return None,
        };
        // What stays inside the file is no arrow.
        let leaves = supers.checked_sub(self.inline)?;
        let base = self.module.len().checked_sub(leaves)?;
        Some([&self.module[..base], rest].concat())
    }

    /// Takes the paths of an expression that lives no longer than this call.
    fn visit_words(&mut self, word: &syn::Expr) {
        let mut inner = File {
            module: self.module.clone(),
            children: self.children.clone(),
            inline: self.inline,
            ..File::default()
        };
        inner.visit_expr(word);
        self.paths.append(&mut inner.paths);
    }

    fn add(&mut self, path: Vec<String>) {
        self.paths.extend(self.path_from_root(&path));
    }
}

impl<'ast> Visit<'ast> for File {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // First the modules: a path may begin with one that is declared below it.
        for item in &file.items {
            if let syn::Item::Mod(item) = item
                && item.content.is_none()
                && !is_of_tests(&item.attrs)
                // A file with a path of its own belongs to somebody else.
                && !item.attrs.iter().any(|attribute| attribute.path().is_ident("path"))
            {
                self.children.insert(item.ident.to_string());
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() && !is_of_tests(&item.attrs) {
            self.inline += 1;
            visit::visit_item_mod(self, item);
            self.inline -= 1;
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let handed_on = !matches!(item.vis, Visibility::Inherited);
        for (path, name) in leaves(&item.tree) {
            let Some(path) = self.path_from_root(&path) else { continue };
            if handed_on && self.inline == 0 {
                self.exports.insert(name, path.clone());
            }
            // The root of a crate is its face: it hands names on, and its files stand below it.
            if !(handed_on && self.module.is_empty()) {
                self.paths.push(path);
            }
        }
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {
        // `pub(super)` says who may import, and imports nothing.
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // The words of most macros are expressions; of others nothing is known.
        let words = call.parse_body_with(Punctuated::<syn::Expr, Token![,]>::parse_terminated);
        for word in words.iter().flatten() {
            File::visit_words(self, word);
        }
        visit::visit_macro(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // One word is a variable, or was imported.
        if path.segments.len() > 1 {
            self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

/// The paths of an import, each with the name by which it is known.
fn leaves(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    let before = |name: &syn::Ident, tree| {
        let name = name.to_string();
        let put = |(path, known): (Vec<String>, String)| {
            let known = if known == "self" { name.clone() } else { known };
            ([vec![name.clone()], path].concat(), known)
        };
        leaves(tree).into_iter().map(put).collect()
    };
    match tree {
        UseTree::Path(path) => before(&path.ident, &path.tree),
        UseTree::Name(name) if name.ident == "self" => vec![(Vec::new(), "self".to_owned())],
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(rename) => vec![(vec![rename.ident.to_string()], rename.rename.to_string())],
        UseTree::Glob(_) => vec![(Vec::new(), "*".to_owned())],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

/// Whether an item is compiled for tests only: `cfg(test)`, alone or as the first of `all`.
fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let mut of_tests = false;
        let look = attribute.parse_nested_meta(|meta| {
            of_tests |= meta.path.is_ident("test");
            if meta.path.is_ident("all") {
                return meta.parse_nested_meta(|inner| {
                    of_tests |= inner.path.is_ident("test");
                    if inner.input.peek(Token![=]) {
                        inner.value()?.parse::<syn::Lit>()?;
                    }
                    Ok(())
                });
            }
            Ok(())
        });
        look.is_ok() && of_tests
    })
}

fn arrows(files: &BTreeMap<Module, File>) -> Arrows {
    let of = |file: &File| {
        let targets = file.paths.iter().map(|path| owner(files, path));
        targets.filter(|target| *target != file.module).collect()
    };
    files.iter().map(|(module, file)| (module.clone(), of(file))).collect()
}

/// The file that owns what a path names: re-exports are followed, a few times at most.
fn owner(files: &BTreeMap<Module, File>, path: &[String]) -> Module {
    let mut path = path.to_vec();
    for _ in 0..16 {
        let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length])).unwrap_or(0);
        let next = path.get(length).and_then(|name| files[&path[..length]].exports.get(name));
        match next {
            Some(export) => path = [&export[..], &path[length + 1..]].concat(),
            None => return path[..length].to_vec(),
        }
    }
    path
}

/// The groups of files that reach each other.
fn find_circles(arrows: &Arrows) -> Vec<Vec<Module>> {
    let reached: BTreeMap<_, _> = arrows.keys().map(|module| (module, reach(arrows, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, from) in &reached {
        if from.contains(*module) {
            let mutual = from.iter().filter(|other| reached[*other].contains(*module)).cloned();
            circles.insert(mutual.collect::<Vec<_>>());
        }
    }
    circles.into_iter().collect()
}

fn reach(arrows: &Arrows, from: &Module) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in &arrows[module] {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let module = |name: &str| {
            name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect::<Module>()
        };
        let files = files.iter().map(|(name, text)| (module(name), parse(module(name), text).unwrap()));
        find_circles(&arrows(&files.collect())).iter().map(|circle| describe("x", circle)).collect()
    }

    const ROOT: (&str, &str) = ("", "mod a; mod b; pub use a::A;");

    #[test]
    fn two_files_that_import_each_other_are_named() {
        let found =
            circles(&[ROOT, ("a", "fn f() { assert!(crate::b::g(), \"no\") }"), ("b", "use super::A;")]);
        assert_eq!(found, ["x: 2 files import each other in a circle: a, b"]);
    }

    #[test]
    fn paths_in_code_and_re_exports_count_for_what_they_name() {
        let found =
            circles(&[ROOT, ("a", "fn f() { crate::b::g() }"), ("b", "fn g() -> crate::A { todo!() }")]);
        assert_eq!(found.len(), 1);
        assert_eq!(circles(&[ROOT, ("a", "use crate::b::B;"), ("b", "struct B;")]), [""; 0]);
    }

    #[test]
    fn a_child_and_a_parent_that_uses_it_are_a_circle() {
        let parent = ("a", "mod c; struct A; fn f() { c::g() }");
        let child = ("a::c", "use super::A; pub(super) fn g() {}");
        assert_eq!(circles(&[ROOT, parent, ("b", ""), child]).len(), 1);
        let alone = ("a::c", "use crate::b::B; pub(super) fn g() {}");
        assert_eq!(circles(&[ROOT, parent, ("b", ""), alone]), [""; 0]);
    }

    #[test]
    fn tests_and_what_stays_inside_a_file_are_no_arrows() {
        let a = "#[cfg(test)] mod tests { use crate::b::B; } mod inner { use super::A; } struct A;";
        let b = "use crate::a::A; #[cfg(all(test, feature = \"x\"))] mod tests;";
        assert_eq!(circles(&[ROOT, ("a", a), ("b", b)]), [""; 0]);
    }
}
