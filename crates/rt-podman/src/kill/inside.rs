//! Ending a command by a second exec, where the host cannot see the container's processes.

use std::time::Duration;

use rt_protocol::{Fate, Survivor};

use crate::container::PodmanContainer;
use crate::marker::Marker;

/// Finds the marked processes and their descendants, ends them (TERM, 2 s, KILL), and prints what came of it:
/// `killed N`, `alive PID NAME`, `doubt PID NAME`. Runs in any POSIX `sh` with `grep` and `sleep`; BusyBox's will do.
///
/// `$1` is the marked variable. A process is in doubt when it began no earlier than the command, was adopted by
/// process 1 and carries no marker: nobody can say whose it was.
const SCRIPT: &str = r#"
mark=$1; seen=' '; killed=0; first=
stat() { IFS= read -r line 2>/dev/null </proc/$1/stat || return 1; line=${line##*) }; set -- $line; state=$1; parent=$2; began=${20}; [ "$state" != Z ]; }
scan() {
  for file in /proc/[0-9]*/environ; do
    pid=${file#/proc/}; pid=${pid%/environ}
    case $seen in *" $pid "*) continue;; esac
    if grep -q "$mark" "$file" 2>/dev/null && stat $pid; then
      seen="$seen$pid "
      if [ -z "$first" ] || [ "$began" -lt "$first" ]; then first=$began; fi
    fi
  done
  grew=1
  while [ $grew = 1 ]; do
    grew=0
    for dir in /proc/[0-9]*; do
      pid=${dir#/proc/}
      case $seen in *" $pid "*) continue;; esac
      stat $pid || continue
      case $seen in *" $parent "*) seen="$seen$pid "; grew=1;; esac
    done
  done
}
living() { alive=; for pid in $seen; do if stat $pid; then alive="$alive $pid"; fi; done; }
tell() { for pid in $2; do IFS= read -r name 2>/dev/null </proc/$pid/comm && echo "$1 $pid $name"; done; }
scan; living; total=$alive
for word in TERM KILL; do
  tries=0
  while [ -n "$alive" ] && [ $tries -lt 20 ]; do
    kill -$word $alive 2>/dev/null
    sleep 0.1; tries=$((tries+1)); scan; living
    if [ $word = KILL ] && [ $tries -ge 10 ]; then break; fi
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
    if [ "$parent" = 1 ] && [ "$began" -ge "$first" ]; then doubt="$doubt $pid"; fi
  done
  tell doubt "$doubt"
fi
"#;

/// How long the second exec may take: the grace periods of its script, and podman's own time.
const LIMIT: Duration = Duration::from_secs(8);

/// Ends the command from inside. `why` is the reason for which the host could not.
pub(crate) fn end(container: &PodmanContainer, marker: &Marker, why: &str) -> (Fate, usize, Vec<Survivor>) {
    let pattern = format!("{}={}", Marker::NAME, marker.value());
    let unknown = |reason: String| (Fate::Unknown(reason), 0, Vec::new());
    let target = match container.target() {
        Ok(target) => target,
        Err(error) => return unknown(format!("the host cannot look ({why}), and {error}")),
    };
    let args = ["exec", "--user=0", "--", &target, "sh", "-c", SCRIPT, "sh", &pattern];
    match container.engine().ask("end a command in", LIMIT, args) {
        Ok(answer) if answer.ok() => read(&answer.stdout),
        Ok(answer) => unknown(format!(
            "the host cannot look ({why}), and the image cannot help: {}",
            crate::failure::shown(&answer.stderr)
        )),
        Err(error) => unknown(format!("the host cannot look ({why}), and {error}")),
    }
}

fn read(stdout: &str) -> (Fate, usize, Vec<Survivor>) {
    let mut killed = None;
    let (mut alive, mut doubt) = (Vec::new(), Vec::new());
    for line in stdout.lines() {
        let mut words = line.splitn(3, ' ');
        let word = words.next().unwrap_or_default();
        let number = words.next().and_then(|text| text.parse::<u32>().ok());
        let name = words.next().unwrap_or_default();
        match (word, number) {
            ("killed", Some(number)) => killed = Some(number as usize),
            ("alive", Some(pid)) => alive.push(Survivor::new(pid, name)),
            ("doubt", Some(pid)) => doubt.push(format!("{pid} ({name:?})")),
            _ => {}
        }
    }
    let Some(killed) = killed else {
        return (Fate::Unknown(String::from("the look inside the container came to nothing")), 0, Vec::new());
    };
    let fate = if !alive.is_empty() {
        Fate::Alive
    } else if !doubt.is_empty() {
        Fate::Unknown(format!(
            "these processes may belong to the command, they hide their origin: {}",
            doubt.join(", ")
        ))
    } else if killed == 0 {
        // Seen from inside, a command that never began and one that is over look alike.
        Fate::Unknown(String::from(
            "none of its processes was found; it may not have begun, or have ended by itself",
        ))
    } else {
        Fate::Gone
    };
    (fate, killed, alive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_the_script_is_read() {
        assert_eq!(read("killed 2\n"), (Fate::Gone, 2, vec![]));
        assert_eq!(read("killed 1\nalive 7 a b\n"), (Fate::Alive, 1, vec![Survivor::new(7, "a b")]));
        for doubtful in ["", "killed 0\n", "killed 1\ndoubt 9 x\n", "killed x\n", "sh: grep: not found"] {
            assert!(matches!(read(doubtful).0, Fate::Unknown(_)), "{doubtful}");
        }
    }
}
