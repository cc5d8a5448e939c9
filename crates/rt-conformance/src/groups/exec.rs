//! Exec: commands whose output is captured. See also [`super::settings`] for their environment, and
//! [`super::limits`] and [`super::timeouts`] for their limits.

use std::time::Duration;

use rt_protocol::{Capability, ExecRequest, ExecResult, ExitOutcome, StreamEnd};

use crate::ensure::same_bytes;
use crate::script::{pattern, word};
use crate::threads::joined;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

/// All of them need commands with a meaning.
const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Exec, run).needs(&[Need::Shell])
}

pub(super) const CASES: &[Case] = &[
    fact("exec: output is captured and the code is 0", captures).core(),
    fact("exec: a non-zero exit is data", non_zero).core(),
    fact("exec: the code 125 is the command's own", |context| own_code(context, 125)).core(),
    fact("exec: the code 126 is the command's own", |context| own_code(context, 126)).core(),
    fact("exec: the code 127 is the command's own", |context| own_code(context, 127)).core(),
    fact("exec: the code 255 is the command's own", |context| own_code(context, 255)).core(),
    fact("exec: the code 137 is a code when the command returns it", |context| own_code(context, 137)).core(),
    fact("exec: a stderr that begins with Error: is the command's own", own_error_text).core(),
    fact("exec: who wrote to stdout has run, whatever stderr says", engine_like_text).core(),
    fact("exec: stdout and stderr are kept apart", apart).core(),
    fact("exec: every byte value arrives as it is, on both streams", all_bytes).core(),
    fact("exec: line ends are not rewritten", line_ends).core(),
    fact("exec: an unterminated last line is not terminated", unterminated).core(),
    fact("exec: no output is empty output", empty_output).core(),
    fact("exec: ten MiB of output arrive whole", ten_mebibytes).core(),
    fact("exec: a MiB on both streams at once arrives whole", both_streams).core(),
    fact("exec: output that is whole says that it came to its end", whole).core(),
    fact("exec: stdin is empty", empty_stdin).core(),
    fact("exec: words are not read by a shell", words).core(),
    fact("exec: words that look like options go to the command", option_words).core(),
    fact("exec: a word of a hundred KiB arrives whole", long_word).core(),
    fact("exec: words that are not UTF-8 arrive as they are", byte_words)
        .can(&[Capability::ByteArguments])
        .core(),
    fact("exec: a program is found by its path too", by_path).core(),
    fact("exec: the elapsed time covers the command", elapsed).core(),
    fact("exec: sixteen at once get each its own answer", parallel).core(),
    fact("exec: ten in a row answer alike", in_a_row).core(),
    fact("exec: a child that holds the streams does not hold the call", held_by_child).core(),
];

fn captures(context: &TestContext<'_>) -> Verdict {
    let result = context.run(&Script::print("hello\n"))?;
    ensure_eq!(result.outcome, ExitOutcome::Code(0), "the outcome")?;
    ensure_eq!(result.stdout.text(), "hello\n", "stdout")?;
    ensure!(result.stderr.is_empty(), "stderr is {}", result.stderr)
}

fn non_zero(context: &TestContext<'_>) -> Verdict {
    let result = context.run(&Script::Say { stdout: b"out".to_vec(), stderr: b"err".to_vec(), code: 3 })?;
    ensure_eq!(result.outcome, ExitOutcome::Code(3), "the outcome")?;
    ensure!(!result.success(), "code 3 is ok")?;
    ensure_eq!((&*result.stdout.text(), &*result.stderr.text()), ("out", "err"), "the output")
}

fn own_code(context: &TestContext<'_>, code: i32) -> Verdict {
    let result = context.run(&Script::Exit(code))?;
    ensure_eq!(result.outcome, ExitOutcome::Code(code), "the outcome")
}

fn own_error_text(context: &TestContext<'_>) -> Verdict {
    for code in [1, 125, 126, 127, 255] {
        let said = "Error: the build has failed\n";
        let result = context.run(&Script::Say { stdout: vec![], stderr: said.into(), code })?;
        ensure_eq!(result.outcome, ExitOutcome::Code(code), "the outcome")?;
        ensure_eq!(result.stderr.text(), said, "stderr")?;
    }
    Ok(())
}

/// A command can print exactly what an engine prints. Without output on stdout the two cannot be
/// distinguished; output proves that the command ran.
fn engine_like_text(context: &TestContext<'_>) -> Verdict {
    for (code, said) in [
        (125, "Error: no container with name or ID \"x\" found: no such container\n"),
        (
            127,
            "Error: crun: executable file `x` not found in $PATH: No such file or directory: \
               OCI runtime attempted to invoke a command that was not found\n",
        ),
        (255, "Error: unable to find user x: no matching entries in passwd file\n"),
    ] {
        let result = context.run(&Script::Say { stdout: b"ran\n".to_vec(), stderr: said.into(), code })?;
        ensure_eq!(result.outcome, ExitOutcome::Code(code), "the outcome")?;
        ensure_eq!((&*result.stdout.text(), &*result.stderr.text()), ("ran\n", said), "the output")?;
    }
    Ok(())
}

fn apart(context: &TestContext<'_>) -> Verdict {
    let result =
        context.run(&Script::Say { stdout: b"one\n".to_vec(), stderr: b"two\n".to_vec(), code: 0 })?;
    ensure_eq!(result.stdout.text(), "one\n", "stdout")?;
    ensure_eq!(result.stderr.text(), "two\n", "stderr")
}

fn all_bytes(context: &TestContext<'_>) -> Verdict {
    let up: Vec<u8> = (0..=255).collect();
    let down: Vec<u8> = (0..=255).rev().collect();
    let result = context.run(&Script::Say { stdout: up.clone(), stderr: down.clone(), code: 0 })?;
    same_bytes("stdout", result.stdout.as_bytes(), &up)?;
    same_bytes("stderr", result.stderr.as_bytes(), &down)
}

fn line_ends(context: &TestContext<'_>) -> Verdict {
    let said = b"dos\r\nmac\runix\n\r\n\n\t \x1b[0m".to_vec();
    let result = context.run(&Script::Say { stdout: said.clone(), stderr: said.clone(), code: 0 })?;
    same_bytes("stdout", result.stdout.as_bytes(), &said)?;
    same_bytes("stderr", result.stderr.as_bytes(), &said)
}

fn unterminated(context: &TestContext<'_>) -> Verdict {
    let result = context.run(&Script::Say { stdout: b"a\nb".to_vec(), stderr: b"c".to_vec(), code: 0 })?;
    same_bytes("stdout", result.stdout.as_bytes(), b"a\nb")?;
    same_bytes("stderr", result.stderr.as_bytes(), b"c")
}

fn empty_output(context: &TestContext<'_>) -> Verdict {
    let result = context.run(&Script::Exit(0))?;
    for (name, output) in [("stdout", &result.stdout), ("stderr", &result.stderr)] {
        ensure!(output.is_empty() && !output.is_truncated(), "{name} of a silent command is {output:?}")?;
    }
    Ok(())
}

fn ten_mebibytes(context: &TestContext<'_>) -> Verdict {
    let size = 10 << 20;
    let result = context.run(&Script::Flood { stdout: size, stderr: 0, code: 6 })?;
    ensure_eq!(result.outcome, ExitOutcome::Code(6), "the outcome")?;
    ensure_eq!(result.stdout.total(), size, "the total of stdout")?;
    same_bytes("stdout", result.stdout.as_bytes(), &pattern(size))
}

fn both_streams(context: &TestContext<'_>) -> Verdict {
    let (out, err) = (1 << 20, (1 << 20) + 7);
    let result = context.run(&Script::Flood { stdout: out, stderr: err, code: 0 })?;
    same_bytes("stdout", result.stdout.as_bytes(), &pattern(out))?;
    same_bytes("stderr", result.stderr.as_bytes(), &pattern(err))
}

fn whole(context: &TestContext<'_>) -> Verdict {
    let silent = Script::Exit(3);
    let said = Script::Say { stdout: b"out".to_vec(), stderr: b"err".to_vec(), code: 0 };
    let long = Script::Flood { stdout: 3 << 20, stderr: 1 << 20, code: 0 };
    for script in [silent, said, long] {
        let result = context.run(&script)?;
        let ends = (result.stdout.end(), result.stderr.end());
        ensure_eq!(ends, (StreamEnd::Eof, StreamEnd::Eof), "the ends of stdout and stderr")?;
    }
    Ok(())
}

fn empty_stdin(context: &TestContext<'_>) -> Verdict {
    let result = context.run(&Script::CountStdin)?;
    ensure_eq!(result.stdout.text(), "0", "the bytes on stdin")
}

fn say_words(context: &TestContext<'_>, words: &[&str]) -> Verdict {
    let result = context.run(&Script::Words(words.iter().map(Into::into).collect()))?;
    let expected: String = words.iter().flat_map(|word| ["<", word, ">"]).collect();
    ensure_eq!(result.stdout.text(), expected, "the words that arrived")
}

fn words(context: &TestContext<'_>) -> Verdict {
    say_words(
        context,
        &[
            "a b", "", "$HOME", "`id`", "$(id)", "; exit 1", "*", "~", "'", "\"", "\\", "a\nb", "#", "&",
            "|", "\u{e4}",
        ],
    )
}

fn option_words(context: &TestContext<'_>) -> Verdict {
    say_words(context, &["--", "-i", "--help", "-", "--env=A=b", "-e", "A=b", "--", "@file"])
}

fn long_word(context: &TestContext<'_>) -> Verdict {
    // Linux accepts arguments of up to 128 KiB.
    let result = context.run(&Script::Length("x".repeat(100 * 1024)))?;
    ensure_eq!(result.stdout.text(), (100 * 1024).to_string(), "the length of the word")
}

fn byte_words(context: &TestContext<'_>) -> Verdict {
    let result = context.run(&Script::Words(vec![word(b"a\xff\xfe".to_vec()), word(b"\xc3".to_vec())]))?;
    same_bytes("the words that arrived", result.stdout.as_bytes(), b"<a\xff\xfe><\xc3>")
}

fn by_path(context: &TestContext<'_>) -> Verdict {
    let mut argv = Script::print("by path").argv();
    argv[0] = "/bin/sh".into();
    let result = context.standing()?.exec(&ExecRequest::new(argv)?, &timeout())?;
    ensure_eq!(result.stdout.text(), "by path", "stdout")
}

fn elapsed(context: &TestContext<'_>) -> Verdict {
    context.standing()?;
    let (result, outside) = context.timed(|| context.run(&Script::Sleep(1)));
    let result = result?;
    // Guests round: a `sleep` of a second may end some milliseconds early on our clock.
    let least = Duration::from_millis(900);
    ensure!(result.elapsed >= least && result.elapsed <= outside, "{:?} of {outside:?}", result.elapsed)
}

fn parallel(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let answers: Vec<Result<ExecResult, Failure>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..16)
            .map(|number| {
                let container = standing.as_ref();
                scope.spawn(move || {
                    let script = Script::Say {
                        stdout: vec![b'a' + number; 2000],
                        stderr: vec![],
                        code: number.into(),
                    };
                    TestContext::run_in(container, &script)
                })
            })
            .collect();
        runs.into_iter().map(joined).collect()
    });
    for (number, answer) in (0_u8..).zip(answers) {
        let answer = answer?;
        ensure_eq!(answer.outcome, ExitOutcome::Code(number.into()), "the outcome of one of sixteen")?;
        same_bytes("stdout of one of sixteen", answer.stdout.as_bytes(), &vec![b'a' + number; 2000])?;
    }
    Ok(())
}

fn in_a_row(context: &TestContext<'_>) -> Verdict {
    let script = Script::Say { stdout: pattern(3000), stderr: b"x".to_vec(), code: 9 };
    let first = context.run(&script)?;
    same_bytes("stdout", first.stdout.as_bytes(), &pattern(3000))?;
    for _ in 1..10 {
        ensure_eq!(context.run(&script)?, first, "a later result")?;
    }
    Ok(())
}

fn held_by_child(context: &TestContext<'_>) -> Verdict {
    // How long any command takes on this machine now.
    let usual = context.run(&Script::Exit(0))?.elapsed;
    let result = context.run(&Script::Leave(8))?;
    ensure_eq!(result.outcome, ExitOutcome::Code(0), "the outcome")?;
    ensure_eq!(result.stdout.text(), "done", "what the command itself wrote")?;
    ensure_eq!(result.stdout.end(), StreamEnd::LeftOpen, "the end of stdout")?;
    ensure_eq!(result.stderr.end(), StreamEnd::LeftOpen, "the end of stderr")?;
    let limit = Duration::from_secs(6) + usual;
    ensure!(result.elapsed < limit, "the call was held for {:?}, of {usual:?}", result.elapsed)
}
