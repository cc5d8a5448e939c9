//! Removes secrets from texts and command lines. Needs no GPU.
//!
//! A [`Scrubber`] masks values that the caller knows, in any text, also where they stand in base64
//! or percent-encoded, and where the text arrives in pieces. [`redact_env_args`] masks the secrets
//! of a podman command line by their names.
//!
//! ```
//! use rt::redact::Scrubber;
//!
//! let scrubber = Scrubber::new(&["hunter2".into()]);
//! assert_eq!(scrubber.scrub_text("db:hunt%65r2@host"), "db:<redacted>@host");
//! ```

pub use rt_gpu::{
    MASK, MIN_SECRET_BYTES, ScrubStream, ScrubWriter, Scrubber, is_secret_name, redact_env_args,
};
