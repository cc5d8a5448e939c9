//! What is kept of an image.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Nanos;

/// An image as its file has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) created: Nanos,
    pub(crate) names: Vec<String>,
    pub(crate) size: u64,
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) user: String,
    pub(crate) workdir: String,
}

/// `bb` is `localhost/bb:latest`, as far as this program goes: it has no registry.
pub(crate) fn whole_name(word: &str) -> String {
    let last = word.rfind('/').map_or(0, |slash| slash + 1);
    let tagged = if word[last..].contains([':', '@']) { word.to_owned() } else { format!("{word}:latest") };
    if tagged.contains('/') { tagged } else { format!("localhost/{tagged}") }
}
