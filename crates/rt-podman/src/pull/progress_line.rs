//! Reads the lines that `podman pull` prints on a stderr that is no terminal.
//!
//! podman has no other form of its progress. The lines are those of containers/image, the same on
//! 4.3.1 and 5.4.2. A line that is not known is no step.

use rt_protocol::PullProgress;

use crate::cli::failure;

/// Returns the step that a line reports.
pub(crate) fn step(line: &str) -> Option<PullProgress> {
    if let Some(image) = line.strip_prefix("Trying to pull ") {
        let image = image.strip_suffix("...").unwrap_or(image).to_owned();
        return Some(PullProgress::Trying { image });
    }
    // Later versions add whether a layer was skipped.
    let digest = |rest: &str| rest.split_whitespace().next().map(str::to_owned);
    if let Some(rest) = line.strip_prefix("Copying blob ") {
        return digest(rest).map(|digest| PullProgress::Layer { digest });
    }
    if let Some(rest) = line.strip_prefix("Copying config ") {
        return digest(rest).map(|digest| PullProgress::Config { digest });
    }
    if line.starts_with("Writing manifest to image destination") {
        return Some(PullProgress::Storing);
    }
    if line.starts_with("time=\"")
        && line.contains(" level=warning ")
        && line.contains("Failed, retrying in ")
    {
        let (_, reason) = line.split_once("Error: ")?;
        let reason = failure::shown(&reason.trim_end_matches('"').replace("\\\"", "\""));
        return Some(PullProgress::Retrying { reason });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_lines_are_read() {
        // podman 4.3.1, `podman pull --log-level=info`.
        let recorded = r#"time="2026-11-29T22:58:06Z" level=info msg="podman filtering at log level info"
Trying to pull 127.0.0.1:5123/m/i:1...
time="2026-11-29T22:58:40Z" level=warning msg="Failed, retrying in 1s ... (1/3). Error: initializing source docker://127.0.0.1:1/m/i:1: pinging container registry 127.0.0.1:1: Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused"
Getting image source signatures
Copying blob sha256:956f53ca474ca43341dc6a2061bbe21583b14b456cecdcfa8f69fde335b9fdca
Copying config sha256:b89015d34d700b9f2390ae280cb3255f7be71377bc0b5e2244032268df2530c5
Writing manifest to image destination
Storing signatures
"#;
        let steps: Vec<_> = recorded.lines().filter_map(step).collect();
        let digest = |digits: &str| format!("sha256:{digits}");
        assert_eq!(steps.len(), 5, "{steps:?}");
        assert_eq!(steps[0], PullProgress::Trying { image: String::from("127.0.0.1:5123/m/i:1") });
        let PullProgress::Retrying { reason } = &steps[1] else { panic!("{steps:?}") };
        assert!(reason.starts_with("initializing source ") && reason.ends_with("connection refused"));
        assert!(reason.contains("Get \"http://127.0.0.1:1/v2/\": dial"), "{reason}");
        let layer = digest("956f53ca474ca43341dc6a2061bbe21583b14b456cecdcfa8f69fde335b9fdca");
        assert_eq!(steps[2], PullProgress::Layer { digest: layer });
        let config = digest("b89015d34d700b9f2390ae280cb3255f7be71377bc0b5e2244032268df2530c5");
        assert_eq!(steps[3..], [PullProgress::Config { digest: config }, PullProgress::Storing]);
    }

    #[test]
    fn other_lines_are_no_steps() {
        for line in
            ["", "Copying blob ", "Error: Trying to pull x", "time=\"x\" level=warning msg=\"y\"", "Copying"]
        {
            assert_eq!(step(line), None, "{line}");
        }
    }
}
