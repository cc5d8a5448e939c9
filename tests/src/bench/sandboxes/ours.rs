//! The sandbox program by `rt-tokio`: launch, commands at once, removal by prefix.

use std::time::Duration;

use futures_util::future::try_join_all;
use rt_protocol::{ExecRequest, LaunchSpec, NamePrefix, Network, OutputLimit};
use rt_tokio::{AsyncContainer, AsyncRuntime};

use crate::bench::Outcome;

const LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn launch(
    runtime: &AsyncRuntime,
    family: &str,
    count: usize,
    image: &str,
) -> Outcome<Vec<AsyncContainer>> {
    let spec = |number| {
        LaunchSpec::builder(format!("{family}-{number}"), image)
            .command(["sleep", "777777"])
            .network(Network::None)
            .build()
    };
    let specs: Vec<_> = (0..count).map(spec).collect::<Result<_, _>>()?;
    Ok(try_join_all(specs.iter().map(|spec| runtime.launch(spec, LIMIT))).await?)
}

/// A command that takes too long is ended in its container, and says so.
pub(super) async fn run(sandboxes: &[AsyncContainer], each: usize) -> Outcome<Vec<String>> {
    let commands = sandboxes.iter().flat_map(|sandbox| (0..each).map(move |number| (sandbox, number)));
    let calls = commands.map(|(sandbox, number)| async move {
        let request = ExecRequest::builder(["echo", &number.to_string()])
            .output_limit(OutputLimit::bytes(64 << 10))
            .build()?;
        let output = sandbox.exec(&request, LIMIT).await?.exit_ok()?;
        Ok::<_, rt_protocol::Error>(output.stdout.text().into_owned())
    });
    Ok(try_join_all(calls).await?)
}

pub(super) async fn remove(runtime: &AsyncRuntime, family: &str) -> Outcome {
    for removed in runtime.remove_family(&NamePrefix::new(family)?, LIMIT).await? {
        removed.error.map_or(Ok(()), Err)?;
    }
    Ok(())
}
