//! Ends a command from inside its container or guest. A shell script finds its processes by their
//! [`ExecMarker`]; the script's output is parsed here. The backend decides how to run the script.

use std::time::Duration;

use rt_protocol::{KillOutcome, KillReport, Survivor};

use crate::ExecMarker;

/// Finds the marked processes, the processes that share a session with one, and their descendants.
/// Ends them (TERM, 2 s, KILL) and prints the result: `killed N`, `alive PID NAME`,
/// `doubt PID NAME`. Runs in any POSIX `sh` with `grep` and `sleep`, BusyBox included.
///
/// `$1` is the marked variable. Only readable `environ` files are searched; processes of other
/// users are found by their session and their parents.
///
/// Sessions 0, 1 and the script's own are no sign: process 1 shares the first two. If another
/// process leads the script's own session, commands have no session of their own and no session is
/// a sign. (Dropbear's commands are in the session of their connection, with the server and each
/// other.)
///
/// A process is in doubt if it did not start before the command, was adopted by process 1 and
/// carries no sign: its owner is unknown. In a container that shares the host's pid namespace, the
/// exec's own conmon adopts the command's orphans. Its children belong to the command, except
/// podman's clean-up, and only a process with the same root can be in doubt.
///
/// Periods are measured by `/proc/uptime` (proc(5): seconds with two decimals), because on a slow
/// guest a look takes as long as a wait. If it cannot be read, the number of looks is counted
/// instead.
const SCRIPT: &str = r#"
mark=$1; seen=' '; killed=0; first=; sids=' '; adopter=
stat() { IFS= read -r line 2>/dev/null </proc/$1/stat || return 1; line=${line##*) }; set -- $line; state=$1; parent=$2; sid=$4; began=${20}; [ "$state" != Z ]; }
stat $$; own=$sid
note() { seen="$seen$1 "; case $own in 0|1|$$) ;; *) return 0;; esac; case $sid in 0|1|$own) ;; *) case $sids in *" $sid "*) ;; *) sids="$sids$sid ";; esac;; esac; }
scan() {
  for file in $(grep -l "$mark" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${file#/proc/}; pid=${pid%/environ}
    case $seen in *" $pid "*) continue;; esac
    if stat $pid; then
      note $pid
      IFS= read -r name 2>/dev/null </proc/$parent/comm && [ "$name" = conmon ] && adopter=$parent
      if [ -z "$first" ] || [ "$began" -lt "$first" ]; then first=$began; fi
    fi
  done
  [ "$seen" != ' ' ] || return 0
  grew=1
  while [ $grew = 1 ]; do
    grew=0
    for dir in /proc/[0-9]*; do
      pid=${dir#/proc/}
      case $seen in *" $pid "*) continue;; esac
      stat $pid || continue
      case "$seen|$sids" in *" $parent "*"|"*|*"|"*" $sid "*) note $pid; grew=1; continue;; esac
      if [ "$parent" = "$adopter" ] && IFS= read -r name 2>/dev/null </proc/$pid/comm && [ "$name" != podman ]; then
        note $pid; grew=1
      fi
    done
  done
}
living() { alive=; for pid in $seen; do if stat $pid; then alive="$alive $pid"; fi; done; }
tell() { for pid in $2; do IFS= read -r name 2>/dev/null </proc/$pid/comm && echo "$1 $pid $name"; done; }
clock() { now=0; IFS=' ' read -r up rest 2>/dev/null </proc/uptime && now=$((${up%.*}*100+1${up#*.}-100)); }
scan; living
for step in TERM:200:20 KILL:100:10; do
  word=${step%%:*}; step=${step#*:}; grace=${step%:*}; most=${step#*:}; tries=0
  clock; begun=$now
  while [ -n "$alive" ] && [ $tries -lt $most ] && [ $((now-begun)) -lt $grace ]; do
    kill -$word $alive 2>/dev/null
    sleep 0.1; tries=$((tries+1)); scan; living; clock
  done
done
for pid in $seen; do case " $alive " in *" $pid "*) ;; *) killed=$((killed+1));; esac; done
echo "killed $killed"
tell alive "$alive"
if [ -n "$first" ]; then
  doubt=
  for dir in /proc/[0-9]*; do
    pid=${dir#/proc/}
    case $seen in *" $pid "*) continue;; esac
    [ $pid != $$ ] && stat $pid || continue
    [ -z "$adopter" ] || [ /proc/$pid/root -ef / ] || continue
    if [ "$parent" = 1 ] && [ "$began" -ge "$first" ]; then doubt="$doubt $pid"; fi
  done
  tell doubt "$doubt"
fi
"#;

/// The result of ending a command from inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteKill {
    /// What is known about the command, or why nothing is.
    Report(KillReport),
    /// The script found no process of the command. From inside, a command that never started and
    /// one that has ended look the same.
    FoundNothing,
}

impl RemoteKill {
    /// Returns the command that ends it: `sh`, its script and its argument. Run it inside with as
    /// many privileges as possible. It takes up to about 5 s, and a few milliseconds if nothing is
    /// left to end.
    #[must_use]
    pub fn argv(marker: &ExecMarker) -> [String; 5] {
        let mark = format!("{}={}", ExecMarker::NAME, marker.value());
        [String::from("sh"), String::from("-c"), SCRIPT.to_owned(), String::from("sh"), mark]
    }

    /// Parses the script's stdout. If the text is not from the script, the outcome is unknown.
    #[must_use]
    pub fn parse(stdout: &str) -> Self {
        let mut killed = None;
        let (mut survivors, mut doubt) = (Vec::new(), Vec::new());
        for line in stdout.lines() {
            let mut words = line.splitn(3, ' ');
            let word = words.next().unwrap_or_default();
            let number = words.next().and_then(|text| text.parse::<u32>().ok());
            let name = words.next().unwrap_or_default();
            match (word, number) {
                ("killed", Some(number)) => killed = Some(number as usize),
                ("alive", Some(pid)) => survivors.push(Survivor::new(pid, name)),
                ("doubt", Some(pid)) => doubt.push(format!("{pid} ({name:?})")),
                _ => {}
            }
        }
        let Some(killed) = killed else {
            return Self::Report(KillReport::unknown("the look inside came to nothing"));
        };
        let outcome = if !survivors.is_empty() {
            KillOutcome::Alive
        } else if !doubt.is_empty() {
            KillOutcome::Unknown(format!(
                "these processes may belong to the command, they hide their origin: {}",
                doubt.join(", ")
            ))
        } else if killed == 0 {
            return Self::FoundNothing;
        } else {
            KillOutcome::Gone
        };
        Self::Report(KillReport::new(outcome, killed, survivors, Duration::ZERO))
    }
}

impl From<RemoteKill> for KillReport {
    fn from(remote: RemoteKill) -> Self {
        match remote {
            RemoteKill::Report(report) => report,
            RemoteKill::FoundNothing => Self::unknown(
                "none of its processes was found; it may not have begun, or have ended by itself",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use rt_protocol::{Interruption, OutputLimit, Source, Until};

    use super::*;
    use crate::{ProcessSpec, Program, Streams, capture, with_process};

    #[test]
    fn the_answer_of_the_script_is_read() {
        let check = |text: &str, outcome: KillOutcome, killed, survivors| {
            let report = KillReport::new(outcome, killed, survivors, Duration::ZERO);
            assert_eq!(RemoteKill::parse(text), RemoteKill::Report(report));
        };
        check("killed 2\n", KillOutcome::Gone, 2, vec![]);
        check("killed 1\nalive 7 a b\n", KillOutcome::Alive, 1, vec![Survivor::new(7, "a b")]);
        for doubtful in ["", "killed 0\n", "killed 1\ndoubt 9 x\n", "killed x\n", "sh: grep: not found"] {
            let report = KillReport::from(RemoteKill::parse(doubtful));
            assert!(matches!(report.outcome, KillOutcome::Unknown(_)), "{doubtful}");
        }
        assert_eq!(RemoteKill::parse("killed 0\n"), RemoteKill::FoundNothing);
        assert_ne!(RemoteKill::parse(""), RemoteKill::FoundNothing);
    }

    fn run(shell: &str, marker: &ExecMarker) -> RemoteKill {
        // As an sshd or an engine starts a command: in its own session.
        let argv = RemoteKill::argv(marker);
        let spec =
            ProcessSpec::new(&Program::find("setsid").unwrap()).args(["--wait", shell]).args(&argv[1..]);
        run_spec(&spec)
    }

    fn run_spec(spec: &ProcessSpec) -> RemoteKill {
        let limit = OutputLimit::UNLIMITED;
        let done = capture(spec, Source::empty(), limit, limit, &Until::forever()).unwrap();
        RemoteKill::parse(&done.stdout_capture.text())
    }

    /// Processes in doubt are unrelated ones of this machine that started meanwhile.
    fn killed(ending: RemoteKill) -> usize {
        let report = KillReport::from(ending);
        assert!(report.survivors.is_empty(), "{report:?}");
        report.killed
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_shed_the_marker_is_found_by_its_session_and_its_parents() {
        for shell in ["dash", "bash"] {
            if Program::find(shell).is_err() {
                continue;
            }
            let marker = ExecMarker::fresh();
            let line = "env -i sleep 60 & env -i sh -c 'sleep 60 & exec sleep 60' & echo up; wait";
            let spec = ProcessSpec::new(&Program::find("setsid").unwrap())
                // `setsid` itself is skipped, because it is in the session of this test.
                .args([
                    "--wait",
                    "env",
                    &format!("{}={}", ExecMarker::NAME, marker.value()),
                    "sh",
                    "-c",
                    line,
                ]);
            let streams = Streams::captured(OutputLimit::UNLIMITED, OutputLimit::UNLIMITED);
            with_process(&spec, streams, |process| {
                assert!(matches!(
                    process.drive(&Until::after(Duration::from_millis(300))),
                    Err(Interruption::Stopped(_))
                ));
                assert_eq!(killed(run(shell, &marker)), 4);
                assert!(process.drive(&Until::after(Duration::from_secs(10))).is_ok());
            })
            .unwrap();
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_session_that_commands_share_is_no_sign() {
        let marker = ExecMarker::fresh();
        let mark = format!("{}={}", ExecMarker::NAME, marker.value());
        let argv = RemoteKill::argv(&marker);
        // A server that leads a session with two commands in it; the script runs in the session of
        // another connection.
        let line = "sleep 61 & other=$!; env \"$1\" sleep 62 & shift; sleep 0.3; \
                    setsid --wait sh -c '\"$@\"; :' sh \"$@\"; kill $other && echo other";
        let spec = ProcessSpec::new(&Program::find("setsid").unwrap())
            .args(["--wait", "sh", "-c", line, "sh", &mark])
            .args(&argv);
        let limit = OutputLimit::UNLIMITED;
        let done =
            capture(&spec, Source::empty(), limit, limit, &Until::after(Duration::from_secs(20))).unwrap();
        assert_eq!(done.stdout_capture.text().lines().last(), Some("other"), "{done:?}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_marker_that_nobody_carries_ends_nobody() {
        let ending = thread::spawn(|| run("sh", &ExecMarker::fresh())).join().unwrap();
        assert_eq!(ending, RemoteKill::FoundNothing);
    }
}
