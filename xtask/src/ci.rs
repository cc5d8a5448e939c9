//! `cargo xtask ci`: the parts, their order and the commands of the simple ones. The checks that
//! look into the workspace stand in the modules below, the tests in `test`.

mod api;
mod bare;
mod circles;
mod labels;
mod layering;
mod minimal;
pub(crate) mod options;
mod package;
pub(crate) mod part;
mod readme;
mod tidiness;
mod tools;
mod tree;
mod words;

use crate::chaos;
use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::live::packages;
use crate::report::Report;
use crate::test;
use crate::workspace::{BUILD_LIMIT, VENDORED, Workspace};
use options::CiOptions;
use part::Part;
use std::thread;

/// Runs the parts that were asked for; failures are in the report.
pub(crate) fn run(workspace: &Workspace, options: &CiOptions, report: &mut Report) {
    if options.live {
        // The other parts build what needs them too: libssh2 is C.
        report.step("packages", packages::install_missing);
    }
    for part in Part::ALL.iter().copied() {
        if options.wants(part) {
            run_part(part, workspace, options, report);
        }
    }
}

fn run_part(part: Part, workspace: &Workspace, options: &CiOptions, report: &mut Report) {
    match part {
        Part::Fmt => report.step("fmt", || build(workspace, &["fmt", "--all", "--check"]).run_checked()),
        Part::Clippy => clippy(workspace, report),
        Part::Docs => {
            report.step("docs", || {
                let words = ["doc", "--workspace", "--no-deps", "--features", &workspace.usual_features()];
                build(workspace, &words)
                    .args(["--document-private-items"])
                    .env("RUSTDOCFLAGS", Some("-D warnings"))
                    .run_checked()
            });
            report.step("docs: labels of features", || labels::check(workspace));
        }
        Part::Layering => {
            report.step("layering: crate arrows", || layering::arrows(workspace));
            report.step("layering: import circles", || circles::check(workspace));
            report.step("layering: sizes and C compilers", || tree::bounds(workspace));
        }
        Part::Tidiness => report.step("tidiness", || tidiness::check(workspace)),
        Part::Licenses => report.step("licenses", || {
            let deny = tools::get(workspace, &tools::DENY)?;
            let words = ["check", "bans", "licenses", "sources"];
            Task::new(deny).dir(&workspace.root).args(words).limit(BUILD_LIMIT).run_checked()
        }),
        Part::Typos => report.step("typos", || {
            // What it passes over stands in `_typos.toml`.
            Task::new(tools::get(workspace, &tools::TYPOS)?)
                .dir(&workspace.root)
                .limit(BUILD_LIMIT)
                .run_checked()
        }),
        Part::Unused => report.step("unused: dependencies", || {
            let machete = tools::get(workspace, &tools::MACHETE)?;
            Task::new(machete).dir(&workspace.root).args(["--with-metadata"]).limit(BUILD_LIMIT).run_checked()
        }),
        Part::Api => report.judged("api: as listed in api/", || api::compare(workspace)),
        Part::Package => report.step("package", || package::check(workspace)),
        Part::Minimal => {
            report.step("minimal: smallest versions of direct dependencies", || minimal::check(workspace));
        }
        Part::Powerset => {
            // What nobody depends on has no users who choose features.
            let published: Vec<_> = workspace.published().collect();
            // These only add implementations or a module: alone is enough, and an eighth of the
            // subsets.
            let subsets = ["--feature-powerset", "--exclude-features", "record,serde,tokio"];
            report.step("powerset: every subset", || hack(workspace, &published, &subsets));
            // Separately, because the dev-dependencies of tests turn features of their own on.
            report.step("powerset: each feature, with tests and examples", || {
                let members: Vec<_> = workspace.members.keys().map(String::as_str).collect();
                hack(workspace, &members, &["--each-feature", "--all-targets"])
            });
            if !options.wants(Part::Test) {
                report.step(OPENSSL, || openssl_of_its_own(workspace));
            }
        }
        Part::Test => match readme::tests(workspace, options.live) {
            Ok(tests) if options.wants(Part::Powerset) => thread::scope(|scope| {
                let openssl = scope.spawn(|| {
                    // On Linux of this thread alone, and of what it starts.
                    let _ = rustix::process::nice(19);
                    openssl_of_its_own(workspace)
                });
                test::run(workspace, &tests, report);
                report.step(OPENSSL, || openssl.join().unwrap_or_else(|_| Err(Failure::new("it panicked"))));
            }),
            Ok(tests) => test::run(workspace, &tests, report),
            Err(failure) => report.step("test", || Err(failure)),
        },
        Part::Bare => report.judged("bare: without podman, sshd and QEMU", || bare::check(workspace)),
        Part::Chaos => report.judged("chaos: a minute", || chaos::minute(workspace, options.live)),
    }
}

/// Lints and warnings are denied behind `--`, which reaches the workspace's own crates alone:
/// dependencies are checked once and shared by all sets.
fn clippy(workspace: &Workspace, report: &mut Report) {
    let features = workspace.usual_features();
    // Each feature of each crate alone is the powerset's.
    let sets: [(&str, &[&str]); 3] = [
        ("clippy: all features", &["--workspace", "--features", &features]),
        ("clippy: default features", &["--workspace"]),
        (
            "clippy: measurements and lists",
            &["-p", "rt-tests", "-p", "xtask", "--features", "rt-tests/bench,rt-tests/micro,xtask/api"],
        ),
    ];
    for (name, selection) in sets {
        report.step(name, || {
            build(workspace, &["clippy", "--all-targets"])
                .args(selection)
                .args(["--", "-D", "warnings"])
                .run_checked()
        });
    }
}

const OPENSSL: &str = "powerset: OpenSSL of its own";

/// Once is enough: OpenSSL is compiled for it, which takes minutes and shows nothing about our own
/// code. The tests, which wait for much of their time, have it beside them: it takes what they
/// leave, in a target directory of its own.
fn openssl_of_its_own(workspace: &Workspace) -> Result<()> {
    build(workspace, &["clippy", "-p", "rt", "--no-default-features"])
        .args(["--features", &format!("krun,{VENDORED}"), "--", "-D", "warnings"])
        .env("CARGO_TARGET_DIR", Some(workspace.target.join("openssl")))
        .run_labelled("[OpenSSL] ")
}

/// Feature sets of those of the packages that have features, by clippy for the shared dependencies'
/// sake.
fn hack(workspace: &Workspace, packages: &[&str], sets: &[&str]) -> Result<()> {
    let has_features = |name: &&str| workspace.member(name).is_ok_and(|member| !member.features.is_empty());
    let packages: Vec<&str> = packages.iter().copied().filter(has_features).collect();
    if packages.is_empty() {
        return Err(Failure::new("no crate of the workspace has features"));
    }
    for name in &packages {
        let member = workspace.member(name)?;
        if !member.default.is_subset(&member.features) {
            return Err(Failure::new(format!("{name}: the default features do more than to name others")));
        }
    }
    let hack = tools::get(workspace, &tools::HACK)?;
    // The first word is `hack`, as cargo passes it to a subcommand. `default` only names other
    // features, so each set would otherwise be checked twice.
    Task::new(hack)
        .dir(&workspace.root)
        .args(["hack", "clippy", "--keep-going", "--exclude-features", &format!("{VENDORED},default")])
        .args(sets)
        .args(packages.iter().flat_map(|name| ["-p", name]))
        .args(["--", "-D", "warnings"])
        .limit(BUILD_LIMIT)
        .run_checked()
}

fn build(workspace: &Workspace, words: &[&str]) -> Task {
    workspace.cargo(words).limit(BUILD_LIMIT)
}
