//! The workspace as `cargo metadata` tells it: members, features, targets, dependencies, and cargo
//! itself. What is right or wrong with them is judged elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::child::Task;
use crate::failure::{Failure, Result};

/// The feature that has OpenSSL compiled, which takes minutes and shows nothing about our own code.
pub(crate) const VENDORED: &str = "vendored-openssl";

/// No build takes this long on the slowest machine we know.
pub(crate) const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What `xtask` knows about the project.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// The members, by name.
    pub(crate) members: BTreeMap<String, Member>,
    /// Every package of the lock file that links a native library: (name, version) to the `links`
    /// key.
    pub(crate) links: BTreeMap<(String, String), String>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) manifest: PathBuf,
    /// Whether it may go to a registry.
    pub(crate) is_published: bool,
    /// Without `default`.
    pub(crate) features: BTreeSet<String>,
    /// What the feature `default` turns on.
    pub(crate) default: BTreeSet<String>,
    /// The names of integration test targets.
    pub(crate) tests: BTreeSet<String>,
    pub(crate) has_library: bool,
    pub(crate) has_examples: bool,
    pub(crate) dependencies: Vec<Dependency>,
}

/// The program of a test target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestProgram {
    pub(crate) package: String,
    pub(crate) target: String,
    program: PathBuf,
    /// That of the package: cargo runs tests there.
    directory: PathBuf,
}

impl TestProgram {
    /// Runs it as cargo does.
    pub(crate) fn task(&self) -> Task {
        let task = without_own_description(Task::new(&self.program)).dir(&self.directory);
        task.env("CARGO_MANIFEST_DIR", Some(&self.directory))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) optional: bool,
    /// Part of what users build; dev-dependencies are not.
    pub(crate) normal: bool,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let got = cargo_in(&std::env::current_dir().map_err(|e| Failure::new(format!("no directory: {e}")))?)
            .args(["metadata", "--format-version", "1", "--all-features"])
            .limit(Duration::from_secs(600))
            // The first time it downloads every dependency.
            .inherit_stderr()
            .captured()?;
        if !got.status.success() {
            return Err(Failure::new(format!("`cargo metadata`: {}", got.status)));
        }
        Self::from_json(&got.stdout)
    }

    pub(crate) fn from_json(text: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| Failure::new(format!("`cargo metadata` answered no JSON: {error}")))?;
        let member_ids: BTreeSet<&str> =
            array(&json["workspace_members"]).iter().filter_map(Value::as_str).collect();
        let (mut members, mut links) = (BTreeMap::new(), BTreeMap::new());
        for package in array(&json["packages"]) {
            let name = string(&package["name"]);
            if let Some(library) = package["links"].as_str() {
                links.insert((name.clone(), string(&package["version"])), library.to_owned());
            }
            if package["id"].as_str().is_some_and(|id| member_ids.contains(id)) {
                members.insert(name, Member::from_json(package));
            }
        }
        let path = |key: &str| match json[key].as_str() {
            Some(text) => Ok(PathBuf::from(text)),
            None => Err(Failure::new(format!("`cargo metadata` has no {key}"))),
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")?, members, links })
    }

    /// A cargo command at the root of the workspace.
    pub(crate) fn cargo<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Task {
        cargo_in(&self.root).args(args)
    }

    /// Runs a cargo command that builds, and gives the program of the target `name`.
    pub(crate) fn built(&self, command: &[String], name: &str) -> Result<PathBuf> {
        program(&self.messages(command)?, name)
            .ok_or_else(|| Failure::new(format!("`cargo {}` built no program {name}", command.join(" "))))
    }

    /// Runs a cargo command that builds tests, and gives their programs.
    pub(crate) fn built_tests(&self, command: &[String]) -> Result<Vec<TestProgram>> {
        let programs = self.test_programs(&self.messages(command)?);
        if programs.is_empty() {
            return Err(Failure::new(format!("`cargo {}` built no test", command.join(" "))));
        }
        Ok(programs)
    }

    fn messages(&self, command: &[String]) -> Result<String> {
        let got = self
            .cargo(command)
            .args(["--message-format=json-render-diagnostics"])
            .limit(Duration::from_secs(30 * 60))
            .inherit_stderr()
            .captured()?;
        if !got.status.success() {
            return Err(Failure::new(format!("`cargo {}`: {}", command.join(" "), got.status)));
        }
        Ok(got.stdout)
    }

    /// The test programs in the messages of a build.
    fn test_programs(&self, messages: &str) -> Vec<TestProgram> {
        let test = |message: Value| {
            let manifest = Path::new(message["manifest_path"].as_str()?);
            let package = self.members.iter().find(|(_, member)| member.manifest == manifest);
            let name = match package {
                Some((name, _)) if message["profile"]["test"] == true => name.clone(),
                _ => return None,
            };
            Some(TestProgram {
                package: name,
                target: string(&message["target"]["name"]),
                program: message["executable"].as_str()?.into(),
                directory: manifest.parent()?.to_owned(),
            })
        };
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).filter_map(test).collect()
    }

    /// The members that go to the registry, by name.
    pub(crate) fn published(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter(|(_, member)| member.is_published).map(|(name, _)| name.as_str())
    }

    /// Returns all features of the published crates except the one that takes minutes to build, as
    /// an argument for cargo's `--features` with several packages.
    pub(crate) fn usual_features(&self) -> String {
        self.features_but(&[VENDORED])
    }

    /// Every feature of what is published but these.
    pub(crate) fn features_but(&self, left_out: &[&str]) -> String {
        let members = self.members.iter().filter(|(_, member)| member.is_published);
        let features =
            members.flat_map(|(name, member)| member.features.iter().map(move |feature| (name, feature)));
        let kept = features.filter(|(_, feature)| !left_out.contains(&feature.as_str()));
        kept.map(|(name, feature)| format!("{name}/{feature}")).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn member(&self, name: &str) -> Result<&Member> {
        self.members.get(name).ok_or_else(|| Failure::new(format!("the workspace has no package {name}")))
    }
}

/// Removes a folder below the target directory, if it is there.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::io("remove", folder, &error)),
        _ => Ok(()),
    }
}

/// The program of a target in the messages of a build.
fn program(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

impl Member {
    fn from_json(package: &Value) -> Self {
        let mut features: BTreeSet<String> =
            package["features"].as_object().into_iter().flat_map(|map| map.keys().cloned()).collect();
        features.remove("default");
        let default = array(&package["features"]["default"]).iter().map(string).collect();
        let mut member = Self {
            manifest: PathBuf::from(string(&package["manifest_path"])),
            // An empty list of registries is `publish = false`.
            is_published: package["publish"].is_null(),
            features,
            default,
            ..Self::default()
        };
        for target in array(&package["targets"]) {
            for kind in array(&target["kind"]).iter().filter_map(Value::as_str) {
                match kind {
                    "test" => drop(member.tests.insert(string(&target["name"]))),
                    "example" => member.has_examples = true,
                    "lib" | "rlib" | "proc-macro" => member.has_library = true,
                    _ => {}
                }
            }
        }
        member.dependencies = array(&package["dependencies"])
            .iter()
            .map(|dependency| Dependency {
                name: string(&dependency["name"]),
                optional: dependency["optional"].as_bool().unwrap_or(false),
                normal: dependency["kind"].as_str() != Some("dev"),
            })
            .collect();
        member
    }
}

fn cargo_in(dir: &Path) -> Task {
    without_own_description(Task::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).dir(dir))
}

fn without_own_description(mut task: Task) -> Task {
    // `cargo run` describes this package in the environment; a build script that looks at these
    // variables would run again in every build that is started from here.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            task = task.env(&name, None::<OsString>);
        }
    }
    task
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_features_are_those_of_published_crates() {
        let text = r#"{"workspace_root":"/w","target_directory":"/t","workspace_members":["a","b","c"],"packages":[
            {"id":"a","name":"a","publish":null,"features":{"default":["x"],"x":[],"vendored-openssl":[]}},
            {"id":"b","name":"b","publish":null,"features":{}},
            {"id":"c","name":"c","publish":[],"features":{"y":[]}}]}"#;
        let workspace = Workspace::from_json(text).unwrap();
        assert_eq!(workspace.features_but(&[VENDORED]), "a/x");
        assert_eq!(workspace.features_but(&[VENDORED, "x"]), "");
    }

    #[test]
    fn members_features_targets_and_links_are_read() {
        let text = r#"{"workspace_root":"/w","target_directory":"/w/target","workspace_members":["p#rt","p#tests"],
            "packages":[
              {"id":"p#rt","name":"rt","version":"0.1.0","manifest_path":"/w/rt/Cargo.toml","links":null,
               "features":{"default":["podman"],"podman":["dep:rt-podman"],"null":[]},
               "targets":[{"name":"rt","kind":["lib"]},{"name":"door","kind":["test"]},
                          {"name":"quickstart","kind":["example"]}],
               "dependencies":[{"name":"rt-podman","kind":null,"optional":true},
                               {"name":"rt-null","kind":"dev","optional":false}]},
              {"id":"p#tests","name":"rt-tests","publish":[],"targets":[],"dependencies":[]},
              {"id":"r#z","name":"z-sys","version":"1.2.3","links":"z","targets":[],"dependencies":[]}]}"#;
        let workspace = Workspace::from_json(text).unwrap();
        let rt = workspace.member("rt").unwrap();
        assert_eq!(Vec::from_iter(&rt.features), ["null", "podman"]);
        assert_eq!(Vec::from_iter(&rt.default), ["podman"]);
        assert_eq!(Vec::from_iter(&rt.tests), ["door"]);
        assert!(rt.has_library && rt.has_examples);
        assert!(rt.dependencies[0].normal && rt.dependencies[0].optional && !rt.dependencies[1].normal);
        assert_eq!(workspace.links[&("z-sys".into(), "1.2.3".into())], "z");
        assert!(!workspace.members.contains_key("z-sys"));
        assert_eq!(workspace.published().collect::<Vec<_>>(), ["rt"]);
    }

    #[test]
    fn the_program_of_a_target_is_found_in_the_messages_of_a_build() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"live"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"live"},"executable":"/t/deps/live-1"}
no JSON
{"reason":"build-finished","success":true}"#;
        assert_eq!(program(messages, "live"), Some("/t/deps/live-1".into()));
        assert_eq!(program(messages, "other"), None);
    }

    #[test]
    fn test_programs_of_a_build_are_those_of_members() {
        let member = Member { manifest: "/w/rt/Cargo.toml".into(), ..Member::default() };
        let members = [("rt".to_owned(), member)].into();
        let workspace = Workspace { root: "/w".into(), target: "/t".into(), members, links: [].into() };
        let messages = r#"{"manifest_path":"/w/rt/Cargo.toml","target":{"name":"door"},"profile":{"test":true},"executable":"/t/door-1"}
{"manifest_path":"/w/rt/Cargo.toml","target":{"name":"tool"},"profile":{"test":false},"executable":"/t/tool"}
{"manifest_path":"/w/rt/Cargo.toml","target":{"name":"rt"},"profile":{"test":true},"executable":null}
{"manifest_path":"/r/serde/Cargo.toml","target":{"name":"serde"},"profile":{"test":true},"executable":"/t/serde"}
{"reason":"build-finished","success":true}"#;
        let tests = workspace.test_programs(messages);
        let names: Vec<_> = tests.iter().map(|test| (&*test.package, &*test.target)).collect();
        assert_eq!(names, [("rt", "door")]);
        assert!(tests[0].task().line().ends_with("/t/door-1"));
    }
}
