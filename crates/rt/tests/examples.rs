//! Every example that needs no set-up runs to its end: each is a module here, and a test calls its
//! `main`.

#[allow(dead_code, reason = "a podman and an image are not those of this test")]
#[path = "../examples/agent_loop.rs"]
mod agent_loop;
#[cfg(feature = "tokio")]
#[path = "../examples/async_sandboxes.rs"]
mod async_sandboxes;
#[path = "../examples/ci_job.rs"]
mod ci_job;
#[allow(dead_code, reason = "its exit code is this host's, and no success of a test")]
#[path = "../examples/doctor.rs"]
mod doctor;
#[path = "../examples/file_tools.rs"]
mod file_tools;
#[cfg(feature = "gpu")]
#[allow(dead_code, reason = "its arguments are not those of this test")]
#[path = "../examples/gpu_check.rs"]
mod gpu_check;
#[cfg(feature = "krun")]
#[path = "../examples/krun_sandbox.rs"]
mod krun_sandbox;
#[allow(dead_code, reason = "this test has no podman to pull by")]
#[path = "../examples/pull_progress.rs"]
mod pull_progress;
#[path = "../examples/reaper.rs"]
mod reaper;
#[path = "../examples/sandbox_service.rs"]
mod sandbox_service;
#[path = "../examples/stdio_bridge.rs"]
mod stdio_bridge;
#[allow(dead_code, reason = "a person's terminal is not that of this test")]
#[path = "../examples/terminal.rs"]
mod terminal;
#[cfg(feature = "mock")]
#[path = "../examples/testing_with_mocks.rs"]
mod testing_with_mocks;
#[path = "../examples/testing_with_null.rs"]
mod testing_with_null;
#[path = "../examples/testing_with_record.rs"]
mod testing_with_record;
#[path = "../examples/third_party_backend.rs"]
mod third_party_backend;
#[cfg(feature = "tokio")]
#[allow(dead_code, reason = "the arguments of this test name no container")]
#[path = "../examples/web_terminal.rs"]
mod web_terminal;

#[test]
fn agent_loop_runs_to_its_end() {
    agent_loop::rehearse().unwrap();
}

#[cfg(feature = "gpu")]
#[test]
fn gpu_check_tells_what_this_host_has() {
    let report = gpu_check::report("all").unwrap();
    assert!(
        report.contains("nvidia: ")
            && report.contains("amd: ")
            && report.contains("intel: "),
        "{report}"
    );
    assert!(gpu_check::report("matrox").is_err());
}

#[test]
fn doctor_tells_of_this_host_in_words_and_as_json() {
    let diagnosis = doctor::examine(None);
    assert_eq!(
        diagnosis.to_string().lines().count(),
        diagnosis.findings.len(),
        "{diagnosis}"
    );
    let json: serde_json::Value = serde_json::from_str(&diagnosis.to_json()).unwrap();
    assert_eq!(json["findings"][0]["code"], "podman-version");
}

#[test]
fn pull_progress_runs_to_its_end() {
    pull_progress::rehearse().unwrap();
}

#[test]
fn reaper_runs_to_its_end() {
    reaper::main().unwrap();
}

#[test]
fn stdio_bridge_runs_to_its_end() {
    stdio_bridge::main().unwrap();
}

#[test]
fn terminal_runs_to_its_end() {
    terminal::rehearse().unwrap();
}

#[cfg(feature = "mock")]
#[test]
fn testing_with_mocks_runs_to_its_end() {
    testing_with_mocks::main().unwrap();
}

#[test]
fn testing_with_null_runs_to_its_end() {
    testing_with_null::main().unwrap();
}

#[test]
fn testing_with_record_runs_to_its_end() {
    testing_with_record::main().unwrap();
}

#[test]
fn third_party_backend_runs_to_its_end() {
    third_party_backend::main().unwrap();
}

#[cfg(feature = "tokio")]
#[test]
fn async_sandboxes_runs_to_its_end() {
    async_sandboxes::main().unwrap();
}

#[cfg(feature = "tokio")]
#[test]
fn web_terminal_runs_to_its_end() {
    web_terminal::rehearse().unwrap();
}

#[test]
fn ci_job_runs_to_its_end() {
    ci_job::main().unwrap();
}

#[test]
fn file_tools_runs_to_its_end() {
    file_tools::main().unwrap();
}

#[cfg(feature = "krun")]
#[test]
fn krun_sandbox_runs_to_its_end() {
    krun_sandbox::main().unwrap();
}

#[test]
fn sandbox_service_runs_to_its_end() {
    sandbox_service::main().unwrap();
}
