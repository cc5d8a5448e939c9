//! The conformance suite on real podman and through rt-krun, one trial for each case.

use std::sync::{Arc, OnceLock};

use libtest_mimic::{Completion, Failed, Trial};
use rt_conformance::{Case, Group, Outcome, Suite, cases};
use rt_podman::ExecPath;
use rt_tests::conformance::PodmanFixture;
use rt_tests::conformance::krun::{Ground, KrunSuite};
use rt_tests::live::{Live, chosen_exec_path};
use rt_tests::registry::served::ServedRegistries;
use rt_tokio::AsyncRuntime;

use crate::blocking_runtime::{AsyncFixture, BlockingRuntime, Executor, executor, undecidable};
use crate::theme::{Theme, timed};

/// What the path into a container may change: where no path was chosen, these are asked on the cold
/// one too.
const OF_COMMANDS: [Group; 9] = [
    Group::Exec,
    Group::Surroundings,
    Group::Stdio,
    Group::Spawn,
    Group::Terminals,
    Group::Signals,
    Group::Timeouts,
    Group::Files,
    Group::Errors,
];

/// What says something about futures that the in-memory backend cannot: commands that run, and that
/// are ended.
const OF_FUTURES: [Group; 4] = [Group::Exec, Group::Spawn, Group::Signals, Group::Timeouts];

/// A theme for each backend that is asked; without a podman each trial is ignored with this reason.
pub(crate) fn themes(live: Option<&Result<Arc<Live>, String>>) -> Vec<Theme> {
    let live = live.map(|live| match live {
        // The suites borrow it for as long as they have trials.
        Ok(live) => Ok(&**Box::leak(Box::new(Arc::clone(live)))),
        Err(reason) => Err(reason.clone()),
    });
    // Where no path was chosen, every guest is entered by agents, and one of them by channels too.
    let chosen = chosen_exec_path();
    let by_agents = if chosen == Some(ExecPath::Cold) { ExecPath::Cold } else { ExecPath::Warm };
    let by_channels = chosen.is_none().then_some((Ground::Loopback, ExecPath::Cold));
    let grounds = Ground::ALL.map(|ground| (ground, by_agents)).into_iter().chain(by_channels);
    let grounds = grounds.flat_map(|(ground, path)| {
        let (seconds, parts): (u32, u8) = match ground {
            // More than one process is to take: two suites, with guests of their own.
            Ground::Container => (430, 2),
            Ground::ContainerAsDev => (80, 1),
            Ground::Loopback => (200, 1),
            Ground::LoopbackAsRoot => (30, 1),
            Ground::Machine => (190, 1),
        };
        let wanted: Vec<&'static Case> = cases().iter().filter(|case| ground.wants(case)).collect();
        let themes = wanted
            .chunks(wanted.len().div_ceil(parts.into()))
            .map(|part| Theme::new(seconds / u32::from(parts), krun(ground, path, part, live.as_ref())));
        themes.collect::<Vec<_>>()
    });
    let podman = |path, wanted| podman(live.as_ref(), path, wanted, false);
    let all = |path| Theme::new(300, podman(path, |_| true));
    let of_commands = |case: &Case| OF_COMMANDS.contains(&case.group());
    let by_podman = match chosen_exec_path() {
        None => vec![all(ExecPath::Warm), Theme::new(150, podman(ExecPath::Cold, of_commands))],
        Some(ExecPath::Cold) => vec![all(ExecPath::Cold)],
        // One that went cold unseen would prove nothing.
        Some(_) => vec![all(ExecPath::Warm)],
    };
    let path = if chosen_exec_path() == Some(ExecPath::Cold) { ExecPath::Cold } else { ExecPath::Warm };
    let of_futures = |case: &Case| OF_FUTURES.contains(&case.group()) && undecidable(case).is_none();
    let by_futures = Theme::new(60, self::podman(live.as_ref(), path, of_futures, true));
    by_podman.into_iter().chain([by_futures]).chain(grounds).collect()
}

/// A fact that runc does not meet, whoever calls it.
const NOT_WITH_RUNC: &str = "launch: a tmpfs is empty, and has its size and its mode";

fn podman(
    live: Option<&Result<&'static Live, String>>,
    path: ExecPath,
    wanted: fn(&Case) -> bool,
    by_futures: bool,
) -> Vec<Trial> {
    let suite = live.cloned().map(|live| live.map(|live| Arc::new(podman_suite(live, path, by_futures))));
    let theme = match path {
        _ if by_futures => "conformance (futures)",
        ExecPath::Cold => "conformance (cold)",
        _ => "conformance",
    };
    cases()
        .iter()
        .filter(|case| wanted(case))
        .map(|case| {
            let suite = suite.clone();
            timed(format!("{theme}: {}", case.name()), move || match suite {
                None => Ok(Completion::Completed),
                Some(Err(reason)) => Ok(Completion::ignored_with(reason)),
                Some(Ok(suite)) if suite.has_runc && case.name() == NOT_WITH_RUNC => {
                    Ok(Completion::ignored_with("runc 1.1.5 gives it the mode of the directory below"))
                }
                Some(Ok(suite)) => run(&suite.suite, case),
            })
        })
        .collect()
}

/// The guests are made for the first trial that is run, and removed after the last.
fn krun(
    ground: Ground,
    path: ExecPath,
    cases: &[&'static Case],
    live: Option<&Result<&'static Live, String>>,
) -> Vec<Trial> {
    let way = if path == ExecPath::Cold { ", channels" } else { "" };
    let suite = Arc::new(OnceLock::<Result<KrunSuite, String>>::new());
    let trial = |case: &&'static Case| {
        let case = *case;
        let (suite, live) = (Arc::clone(&suite), live.cloned());
        timed(format!("conformance ({}{way}): {}", ground.name(), case.name()), move || {
            let live = match live {
                None => return Ok(Completion::Completed),
                Some(Err(reason)) => return Ok(Completion::ignored_with(reason)),
                Some(Ok(live)) => live,
            };
            if let Some(reason) = ground.missing(live) {
                return crate::case::without(live, reason);
            }
            let prepared =
                suite.get_or_init(|| ground.prepare(live, path).map_err(|error| error.to_string()));
            prepared.as_ref().map_err(Failed::from).and_then(|prepared| run(&prepared.suite, case))
        })
    };
    cases.iter().map(trial).collect()
}

fn run(suite: &Suite<'_>, case: &Case) -> Result<Completion, Failed> {
    match suite.run_case(case) {
        Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
        Outcome::Failed(seen) => Err(Failed::from(seen)),
        Outcome::Passed => Ok(Completion::Completed),
    }
}

/// The suite keeps containers that many cases look at, and removes them when it is dropped: after
/// the last trial.
struct PodmanSuite {
    suite: Suite<'static>,
    has_runc: bool,
    /// Dropped after the suite, as the registries.
    _threads: Option<IdleOnDrop>,
    _registries: Option<ServedRegistries>,
}

/// Ends the threads that the removal has left for the next call.
struct IdleOnDrop(AsyncRuntime, Executor);

impl Drop for IdleOnDrop {
    fn drop(&mut self) {
        self.1.block_on(self.0.idle());
    }
}

fn podman_suite(live: &'static Live, path: ExecPath, by_futures: bool) -> PodmanSuite {
    let runtime = live.builder().exec_path(path).build().expect("the podman of the other cases");
    let fixture = PodmanFixture::new(&live.podman, &live.image, &runtime).expect("a well-formed prefix");
    let fixture = match live.cgroups() {
        Ok(()) => fixture,
        Err(reason) => fixture.without_cgroups(reason),
    };
    // The cold path and futures have no pulls of their own.
    let registries = match path {
        ExecPath::Warm if !by_futures => ServedRegistries::start(live).expect("registries on loopback"),
        _ => None,
    };
    let fixture = fixture.with_registry(registries.as_ref().map(ServedRegistries::images));
    let (fixture, runtime) = (Box::leak(Box::new(fixture)), Box::leak(Box::new(runtime)));
    let has_runc = live.has_runc().expect("the OCI runtime");
    if !by_futures {
        let suite = Suite::new(runtime, fixture);
        return PodmanSuite { suite, has_runc, _threads: None, _registries: registries };
    }
    let (futures, executor) = (AsyncRuntime::new(Arc::new(runtime.clone())), executor());
    let runtime = Box::leak(Box::new(BlockingRuntime::new(futures.clone(), Arc::clone(&executor))));
    let threads = IdleOnDrop(futures.clone(), Arc::clone(&executor));
    let fixture = Box::leak(Box::new(AsyncFixture { fixture, runtime: futures, executor }));
    let suite = Suite::new(runtime, fixture);
    PodmanSuite { suite, has_runc, _threads: Some(threads), _registries: registries }
}
