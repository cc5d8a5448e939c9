//! Every example that needs no set-up runs to its end: each is a module here, and a test calls its `main`.

#[path = "../examples/agent_loop.rs"]
mod agent_loop;
#[allow(dead_code, reason = "its exit code is this host's, and no success of a test")]
#[path = "../examples/doctor.rs"]
mod doctor;
#[cfg(feature = "gpu")]
#[allow(dead_code, reason = "its arguments are not those of this test")]
#[path = "../examples/gpu_check.rs"]
mod gpu_check;
#[path = "../examples/reaper.rs"]
mod reaper;
#[path = "../examples/stdio_bridge.rs"]
mod stdio_bridge;
#[cfg(feature = "mock")]
#[path = "../examples/testing_with_mocks.rs"]
mod testing_with_mocks;
#[path = "../examples/testing_with_null.rs"]
mod testing_with_null;
#[path = "../examples/testing_with_record.rs"]
mod testing_with_record;
#[path = "../examples/third_party_backend.rs"]
mod third_party_backend;
#[path = "../examples/tokio_agent.rs"]
mod tokio_agent;

#[test]
fn agent_loop_runs_to_its_end() {
    agent_loop::main().unwrap();
}

#[cfg(feature = "gpu")]
#[test]
fn gpu_check_tells_what_this_host_has() {
    let report = gpu_check::report("all").unwrap();
    assert!(
        report.contains("nvidia: ") && report.contains("amd: ") && report.contains("intel: "),
        "{report}"
    );
    assert!(gpu_check::report("matrox").is_err());
}

#[test]
fn doctor_tells_of_this_host_in_words_and_as_json() {
    let diagnosis = doctor::examine(None);
    assert_eq!(diagnosis.to_string().lines().count(), diagnosis.findings.len(), "{diagnosis}");
    let json: serde_json::Value = serde_json::from_str(&diagnosis.to_json()).unwrap();
    assert_eq!(json["findings"][0]["code"], "podman-version");
}

#[test]
fn reaper_runs_to_its_end() {
    reaper::main().unwrap();
}

#[test]
fn stdio_bridge_runs_to_its_end() {
    stdio_bridge::main().unwrap();
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

#[test]
fn tokio_agent_runs_to_its_end() {
    tokio_agent::main().unwrap();
}
