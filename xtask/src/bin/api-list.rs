//! Prints the public API of a crate as lines of text, from rustdoc's JSON: `api-list JSON`. This is
//! a separate program so that `cargo xtask` builds without the crates that it needs. `ci/api.rs`
//! compares the lines.

use std::process::ExitCode;

use public_api::Builder;

fn main() -> ExitCode {
    let Some(json) = std::env::args_os().nth(1) else {
        eprintln!("api-list takes the path of a description by rustdoc");
        return ExitCode::FAILURE;
    };
    // Implementations that come by themselves are left out: they follow from what is there.
    let api = Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match api {
        Ok(api) => {
            // In the order of their paths.
            api.items().for_each(|item| println!("{item}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", json.display());
            ExitCode::FAILURE
        }
    }
}
