//! What podman says that a container uses.

use std::time::Duration;

use rt_protocol::{ContainerStats, Result, Until};
use serde_json::Value;

use super::improper_state;
use super::target::Target;
use crate::cli::answer::Answer;
use crate::cli::engine::invalid_response;
use crate::cli::json;

const OPERATION: &str = "measure the use of";

/// The numbers as podman has them. Its own JSON has texts in their place, rounded for people.
const FORMAT: &str = "--format={{json .ContainerStats}}";

/// Asks podman what the container uses.
pub(crate) fn stats(container: &Target, until: &Until) -> Result<ContainerStats> {
    let target = container.id_or_name(until)?;
    let args = ["stats", "--no-stream", FORMAT, "--", &target];
    let limit = container.engine().limits.read;
    let answer = container.engine().ask_within(OPERATION, limit, until, args);
    let printed = answer.and_then(Answer::printed).map_err(|error| error.in_container(container.name()))?;
    let text = printed.map_err(|refusal| improper_state::error(container, OPERATION, &refusal))?;
    let stats = decode(&text)
        .ok_or_else(|| invalid_response(OPERATION, "podman named no numbers"))
        .map_err(|error| error.in_container(container.name()))?;
    // Of a container that does not run, podman prints zeros.
    if stats.processes == 0 {
        return Err(improper_state::of_state(container, OPERATION, ""));
    }
    Ok(stats)
}

fn decode(text: &str) -> Option<ContainerStats> {
    let row: Value = serde_json::from_str(text).ok()?;
    let number = |name| json::unsigned(&row, &[name]);
    let stats =
        ContainerStats::new(Duration::from_nanos(number("CPUNano")?), number("MemUsage")?, number("PIDs")?);
    Some(match number("MemLimit") {
        Some(limit @ 1..) => stats.with_memory_limit(limit),
        _ => stats,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_podman_has_them() {
        let row = r#"{"Name":"a","CPUNano":5910265,"MemUsage":614400,"MemLimit":67108864,"PIDs":3}"#;
        let stats = ContainerStats::new(Duration::from_nanos(5_910_265), 614_400, 3);
        assert_eq!(decode(row), Some(stats.clone().with_memory_limit(64 << 20)));
        assert_eq!(decode(&row.replace("67108864", "0")), Some(stats));
        for broken in ["", "[]", "null", "{}", &row.replace("614400", "-1"), &row.replace("PIDs", "pods")] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }
}
