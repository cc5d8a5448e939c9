//! Sends a signal to a command from inside its container or guest. A shell script finds its
//! processes by their [`ExecMarker`]; the script's output is parsed here. The backend decides how
//! to run the script.

use rt_protocol::Signal;

use crate::ExecMarker;

/// Finds the process group of the command, and sends it the signal. Prints the result: `sent`,
/// `none`, or `refused`. Runs in any POSIX `sh` with `grep`, BusyBox included.
///
/// `$1` is the marked variable, `$2` the number of the signal. The command is the oldest of the
/// marked processes.
///
/// A server that gives each command a session of its own (OpenSSH, an OCI runtime) has given the
/// script one too. The command leads its process group then. If it has ended, what it left gets no
/// signal. Otherwise (Dropbear) the group is that of the server, with other commands in it. The
/// signal goes to those of the group that carry the marker or descend from one that does.
///
/// `kill` of dash takes no `--` after the signal.
const SCRIPT: &str = r#"
mark=$1; signal=$2; command=; marked=' '
stat() { IFS= read -r line 2>/dev/null </proc/$1/stat || return 1; line=${line##*) }; set -- $line; state=$1; parent=$2; group=$3; sid=$4; began=${20}; [ "$state" != Z ]; }
stat $$; own=$sid
for file in $(grep -l "$mark" /proc/[0-9]*/environ 2>/dev/null); do
  pid=${file#/proc/}; pid=${pid%/environ}
  stat $pid || continue
  marked="$marked$pid "
  if [ -z "$command" ] || [ "$began" -lt "$first" ] || { [ "$began" = "$first" ] && [ "$pid" -lt "$command" ]; }; then
    command=$pid; first=$began; of_command=$group
  fi
done
if [ -z "$command" ]; then echo none; exit; fi
if [ "$of_command" = "$command" ]; then
  kill -$signal -$command 2>/dev/null; sent=$?
elif [ "$own" = $$ ]; then
  echo none; exit
else
  grew=1
  while [ $grew = 1 ]; do
    grew=0
    for dir in /proc/[0-9]*; do
      pid=${dir#/proc/}
      case $marked in *" $pid "*) continue;; esac
      stat $pid || continue
      case $marked in *" $parent "*) marked="$marked$pid "; grew=1;; esac
    done
  done
  members=
  for pid in $marked; do if stat $pid && [ "$group" = "$of_command" ]; then members="$members $pid"; fi; done
  kill -$signal $members 2>/dev/null; sent=$?
fi
if [ $sent = 0 ] || ! stat $command; then echo sent; else echo refused; fi
"#;

/// The result of sending a signal from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteSignal {
    /// It was sent.
    Sent,
    /// The script found no process of the command: it has not begun, or has ended.
    FoundNothing,
    /// The user who ran the script may not signal the command.
    Refused,
    /// The text is not from the script.
    Unknown,
}

impl RemoteSignal {
    /// Returns the command that sends the signal: `sh`, its script and its arguments. Run it inside
    /// as the command's own user.
    #[must_use]
    pub fn argv(marker: &ExecMarker, signal: Signal) -> [String; 6] {
        let mark = format!("{}={}", ExecMarker::NAME, marker.value());
        ["sh", "-c", SCRIPT, "sh", &mark, &signal.number().to_string()].map(String::from)
    }

    /// Parses the script's stdout.
    #[must_use]
    pub fn parse(stdout: &str) -> Self {
        match stdout.trim_ascii_end() {
            "sent" => Self::Sent,
            "none" => Self::FoundNothing,
            "refused" => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rt_protocol::{OutputLimit, Source, Until};

    use super::*;
    use crate::{ExitStatus, ProcessSpec, Program, Streams, capture, with_process};

    const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];

    /// Runs the script as an sshd or an engine does: in its own session.
    fn send(shell: &[&str], marker: &ExecMarker, signal: Signal) -> RemoteSignal {
        let argv = RemoteSignal::argv(marker, signal);
        let spec =
            ProcessSpec::new(&Program::find("setsid").unwrap()).args(["--wait"]).args(shell).args(&argv[1..]);
        let limit = OutputLimit::UNLIMITED;
        let done = capture(&spec, Source::empty(), limit, limit, &Until::forever()).unwrap();
        RemoteSignal::parse(&done.stdout_capture.text())
    }

    fn shells() -> impl Iterator<Item = &'static [&'static str]> {
        SHELLS.into_iter().filter(|shell| Program::find(shell[0]).is_ok())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_whole_group_of_a_command_gets_the_signal_and_nothing_else_does() {
        for (shell, number) in shells().flat_map(|shell| [15, 10, 34, 64].map(|number| (shell, number))) {
            let (marker, signal) = (ExecMarker::fresh(), Signal::from_number(number).unwrap());
            // Two of the group, one of them without the marker, and one in a session of its own.
            let line = format!(
                "setsid sleep 61 & other=$!; env -i sh -c 'trap \"echo child; exit\" {number}; echo up; \
                 while :; do sleep 0.1; done' & child=$!; trap 'echo command; wait $child; kill $other && \
                 echo other; exit 7' {number}; echo up; while :; do sleep 0.1; done"
            );
            let mark = format!("{}={}", ExecMarker::NAME, marker.value());
            let setsid = Program::find("setsid").unwrap();
            let spec = ProcessSpec::new(&setsid).args(["--wait", "env", &mark, "bash", "-c", &line]);
            let streams = Streams::captured(OutputLimit::UNLIMITED, OutputLimit::UNLIMITED);
            with_process(&spec, streams, |process| {
                let soon = Until::after(Duration::from_millis(500));
                assert!(process.drive(&soon).is_err());
                assert_eq!(send(shell, &marker, signal), RemoteSignal::Sent);
                assert!(process.drive(&Until::after(Duration::from_secs(20))).is_ok());
                let finished = process.finish();
                let text = finished.stdout_capture.text();
                let mut lines: Vec<_> = text.lines().collect();
                lines.sort_unstable();
                assert_eq!(lines, ["child", "command", "other", "up", "up"], "{shell:?} {signal}");
                assert_eq!(finished.status, Some(ExitStatus::Code(7)));
            })
            .unwrap();
            assert_eq!(send(shell, &marker, signal), RemoteSignal::FoundNothing);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn in_a_group_that_commands_share_only_the_command_gets_it() {
        let (marker, signal) = (ExecMarker::fresh(), Signal::TERM);
        let mark = format!("{}={}", ExecMarker::NAME, marker.value());
        let argv = RemoteSignal::argv(&marker, signal);
        // A server that leads a session with two commands in it, one of them with a child without
        // the marker; the script runs in the session of another connection.
        let line = "sleep 61 & other=$!; env \"$1\" sh -c 'env -i sh -c \"trap \\\"echo child; exit\\\" TERM; \
                    while :; do sleep 0.1; done\" & child=$!; trap \"echo command; wait $child; exit\" TERM; \
                    while :; do sleep 0.1; done' & command=$!; shift; sleep 0.5; \
                    setsid --wait sh -c '\"$@\"; :' sh \"$@\"; wait $command; kill $other && echo other";
        let spec = ProcessSpec::new(&Program::find("setsid").unwrap())
            .args(["--wait", "sh", "-c", line, "sh", &mark])
            .args(&argv);
        let limit = OutputLimit::UNLIMITED;
        let until = Until::after(Duration::from_secs(20));
        let done = capture(&spec, Source::empty(), limit, limit, &until).unwrap();
        let text = done.stdout_capture.text();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["child", "command", "other", "sent"], "{done:?}");
    }

    #[test]
    fn the_answer_of_the_script_is_read() {
        assert_eq!(RemoteSignal::parse("sent\n"), RemoteSignal::Sent);
        assert_eq!(RemoteSignal::parse("none\n"), RemoteSignal::FoundNothing);
        assert_eq!(RemoteSignal::parse("refused"), RemoteSignal::Refused);
        for other in ["", "sh: grep: not found\nnone", "SENT"] {
            assert_eq!(RemoteSignal::parse(other), RemoteSignal::Unknown);
        }
    }
}
