//! The public API in a description by rustdoc, as lines of text: `api-list JSON`. A program of its own, so that
//! `cargo xtask` is there without the crates that it takes; what is compared with what stands in `ci/api.rs`.

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
