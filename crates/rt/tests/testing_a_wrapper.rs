//! The example of a wrapper runs to its end: in a program of its own, because the suite counts what
//! is left in the whole process.

#[path = "../examples/testing_a_wrapper.rs"]
mod testing_a_wrapper;

#[test]
fn testing_a_wrapper_runs_to_its_end() {
    testing_a_wrapper::main().unwrap();
}
