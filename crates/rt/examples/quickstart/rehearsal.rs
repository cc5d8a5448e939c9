//! The answers of the tour's commands on the in-memory backend.

use std::sync::Arc;

use rt::{ContainerPath, ContainerRuntime, EnvValue, ExitOutcome, Result};
use rt_null::{ArgvPattern, ExecReply, LogScript, NullRuntime, Scope};

/// Returns a runtime that knows the commands of the tour in the container `name`.
pub(crate) fn runtime(name: &str) -> Result<Arc<dyn ContainerRuntime>> {
    let runtime = NullRuntime::new();
    runtime.set_logs(name, LogScript::new().line("up").error_line("warming up"))?;

    runtime.on_exec(Scope::all(), script("echo"), |call| {
        let who = call.env().get("WHO").map_or("", |value| match value {
            EnvValue::Plain(text) => text.to_str().unwrap_or_default(),
            EnvValue::Secret(_) => "***",
        });
        ExecReply::code(3).with_stdout(format!("hello, {who}\n")).with_stderr("oops\n")
    });
    runtime.on_stdio(Scope::all(), ArgvPattern::any(), |_, agent| {
        while let Some(message) = agent.read_line()? {
            agent.write_stdout(&[b"you said: ", message.as_slice()].concat())?;
        }
        Ok(ExitOutcome::Code(0))
    });
    let files = runtime.clone();
    runtime.on_exec(Scope::all(), ArgvPattern::program("cat"), move |call| {
        let path = call
            .argv()
            .arguments()
            .first()
            .and_then(|path| ContainerPath::new(path).ok());
        match path.and_then(|path| files.file(&call.name, &path)) {
            Some(content) => ExecReply::stdout(content),
            None => ExecReply::code(1).with_stderr("cat: no such file\n"),
        }
    });
    runtime.on_exec(Scope::all(), ArgvPattern::program("true"), |_| ExecReply::code(0));
    runtime.on_exec(Scope::all(), script("sleep"), |_| ExecReply::hang());
    runtime.on_exec(Scope::all(), script("ps"), |_| ExecReply::stdout("0\n"));
    Ok(Arc::new(runtime))
}

/// Matches `sh -c` with a script that begins with this word.
fn script(word: &'static str) -> ArgvPattern {
    ArgvPattern::when(move |argv| {
        argv.program() == "sh"
            && argv
                .arguments()
                .get(1)
                .and_then(|script| script.to_str())
                .is_some_and(|script| script.starts_with(word))
    })
}
