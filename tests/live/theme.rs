//! Cases that stay together, and how several processes share the suite, so that cases that wait run
//! side by side: leftovers are counted for a whole process, and a process has one podman store.
//! Which cases there are stands in `main`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Cases that share what is made once.
pub(crate) struct Theme {
    /// How long they took, in seconds on two busy cores: the longest are begun first.
    seconds: u32,
    trials: Vec<Trial>,
}

impl Theme {
    pub(crate) fn new(seconds: u32, trials: Vec<Trial>) -> Self {
        Self { seconds, trials }
    }

    /// Whether a filter leaves anything of it.
    fn is_wanted(&self, arguments: &Arguments) -> bool {
        let filter = arguments.filter.as_deref().unwrap_or_default();
        self.trials.iter().any(|trial| trial.name().contains(filter))
    }
}

/// Runs the themes: all of them in one go, or, where `RT_LIVE_CLAIMS` names a directory, those that
/// no other process with this directory has claimed. Returns whether all went well.
///
/// # Errors
/// If a theme cannot be claimed.
pub(crate) fn run(arguments: &Arguments, mut themes: Vec<Theme>) -> io::Result<bool> {
    themes.sort_by_key(|theme| std::cmp::Reverse(theme.seconds));
    let Some(claims) = std::env::var_os("RT_LIVE_CLAIMS") else {
        let trials = themes.into_iter().flat_map(|theme| theme.trials).collect();
        return Ok(!libtest_mimic::run(arguments, trials).has_failed());
    };
    let mut is_good = true;
    for (number, theme) in themes.into_iter().enumerate() {
        if theme.is_wanted(arguments) && claim(&claims, number)? {
            is_good &= !libtest_mimic::run(arguments, theme.trials).has_failed();
        }
    }
    Ok(is_good)
}

/// Whether this process is the first to claim that number.
fn claim(claims: &OsStr, number: usize) -> io::Result<bool> {
    match File::create_new(Path::new(claims).join(number.to_string())) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// A trial whose duration is told to the file that `RT_LIVE_TIMES` names, a line `SECONDS NAME`
/// each.
pub(crate) fn timed(
    name: String,
    run: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    let shown = name.clone();
    Trial::ignorable_test(name, move || {
        let begun = Instant::now();
        let outcome = run();
        if let Some(path) = std::env::var_os("RT_LIVE_TIMES") {
            let line = format!("{:.3} {shown}\n", begun.elapsed().as_secs_f64());
            let file = File::options().create(true).append(true).open(path);
            // A list of slow cases is worth no failed case.
            let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
        }
        outcome
    })
}
