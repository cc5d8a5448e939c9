//! An image of podman, and the decoding of `podman images` and `podman image inspect`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Image, ImageFilter, ImageId, ImageInfo, ImageRef, ImageRemoval, OperationSpan, Result, RuntimeId, Until,
};
use serde_json::Value;

use crate::cli::answer::{Answer, Refusal, Verdict};
use crate::cli::engine::invalid_response;
use crate::cli::failure::{self, Failure};
use crate::cli::json;
use crate::state::RuntimeState;
use crate::state::inspect::{nothing_described, rows};

/// A handle on an image of podman.
#[derive(Clone)]
pub struct PodmanImage {
    shared: Arc<RuntimeState>,
    reference: ImageRef,
    listed: Option<Listed>,
}

/// An image in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    repository: String,
    tag: String,
    size: Option<u64>,
    created: Option<SystemTime>,
}

#[cfg(any(fuzzing, test))]
impl Listed {
    /// Returns whether it has a repository and a tag.
    pub(crate) fn is_named(&self) -> bool {
        !self.repository.is_empty() && !self.tag.is_empty()
    }
}

impl fmt::Debug for PodmanImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodmanImage")
            .field("runtime", &self.shared.engine.id.as_str())
            .field("reference", &self.reference.as_str())
            .finish_non_exhaustive()
    }
}

/// What podman shows for a missing repository or tag.
const NONE: &str = "<none>";

impl PodmanImage {
    pub(crate) fn new(shared: Arc<RuntimeState>, reference: ImageRef) -> Self {
        Self { shared, reference, listed: None }
    }

    /// Lists the images on this host: one handle for each name, and one for each image without a
    /// name.
    pub(crate) fn list(
        shared: &Arc<RuntimeState>,
        filter: ImageFilter,
        until: &Until,
    ) -> Result<Vec<Arc<dyn Image>>> {
        const OPERATION: &str = "list images";
        let args = ["images", "--no-trunc", "--format=json"];
        let rows = shared.engine.ask_within(OPERATION, shared.engine.limits.images, until, args)?.text()?;
        let found = decode_images(OPERATION, &rows)?;
        Ok(found
            .into_iter()
            .filter(|(_, listed)| !filter.dangling || listed.tag == NONE)
            .map(|(reference, listed)| {
                Arc::new(Self { shared: Arc::clone(shared), reference, listed: Some(listed) })
                    as Arc<dyn Image>
            })
            .collect())
    }
}

impl PodmanImage {
    /// Runs `podman image VERB …` on the image.
    fn ask(
        &self,
        operation: &'static str,
        limit: Duration,
        until: &Until,
        words: &[&str],
    ) -> Result<Verdict<String>> {
        let args = [&["image"], words, &["--", self.reference.as_str()]].concat();
        self.with_image(
            self.shared.engine.ask_within(operation, limit, until, args).and_then(Answer::printed),
        )
    }

    /// Names the image in an error.
    fn with_image<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| error.of_image(&self.reference))
    }

    /// Returns `None` if podman does not know the image, else the error.
    fn absent<T>(&self, operation: &'static str, refusal: &Refusal) -> Result<Option<T>> {
        match refusal.failure() {
            Failure::NoSuchImage => Ok(None),
            _ => Err(refusal.of_image(operation, &self.reference)),
        }
    }
}

impl Image for PodmanImage {
    fn reference(&self) -> &ImageRef {
        &self.reference
    }

    fn runtime_id(&self) -> Option<&RuntimeId> {
        Some(&self.shared.engine.id)
    }

    fn inspect(&self, until: &Until) -> Result<Option<ImageInfo>> {
        const OPERATION: &str = "inspect";
        OperationSpan::new(OPERATION).run(|| {
            match self.ask(OPERATION, self.shared.engine.limits.exists, until, &["inspect"])? {
                Ok(described) => self.with_image(decode_inspect(OPERATION, &described)).map(Some),
                Err(refusal) => self.absent(OPERATION, &refusal),
            }
        })
    }

    fn history(&self, until: &Until) -> Result<Option<Vec<String>>> {
        const OPERATION: &str = "read the history of";
        OperationSpan::new(OPERATION).run(|| {
            let words = ["history", "--no-trunc", "--format=json"];
            let layers = match self.ask(OPERATION, self.shared.engine.limits.images, until, &words)? {
                Ok(layers) => self.with_image(rows(OPERATION, &layers))?,
                Err(refusal) => return self.absent(OPERATION, &refusal),
            };
            Ok(Some(
                layers.iter().map(|layer| json::text(layer, &["CreatedBy"]).unwrap_or_default()).collect(),
            ))
        })
    }

    fn remove(&self, until: &Until) -> Result<ImageRemoval> {
        const OPERATION: &str = "remove";
        OperationSpan::new(OPERATION).run(|| {
            // podman prints each name that it removes, and the image.
            let Err(refusal) = self.ask(OPERATION, self.shared.engine.limits.images, until, &["rm"])? else {
                return Ok(ImageRemoval::Removed);
            };
            match refusal.failure() {
                Failure::NoSuchImage => Ok(ImageRemoval::Removed),
                Failure::ImageInUse | Failure::ImageKept => Ok(refused(&refusal)),
                // podman exits with 1 for an image that does not exist and 2 for one in use.
                _ if matches!(refusal.code, 1 | 2) => Ok(refused(&refusal)),
                _ => Err(refusal.of_image(OPERATION, &self.reference)),
            }
        })
    }

    fn repository(&self) -> Option<&str> {
        self.listed.as_ref().map(|listed| listed.repository.as_str())
    }

    fn tag(&self) -> Option<&str> {
        self.listed.as_ref().map(|listed| listed.tag.as_str())
    }

    fn size(&self) -> Option<u64> {
        self.listed.as_ref().and_then(|listed| listed.size)
    }

    fn created(&self) -> Option<SystemTime> {
        self.listed.as_ref().and_then(|listed| listed.created)
    }
}

fn refused(refusal: &Refusal) -> ImageRemoval {
    ImageRemoval::Refused(failure::shown(&refusal.stderr))
}

pub(crate) fn decode_inspect(operation: &'static str, stdout: &str) -> Result<ImageInfo> {
    let rows = rows(operation, stdout)?;
    let row = rows.first().ok_or_else(|| nothing_described(operation))?;
    let id = json::text(row, &["Id"])
        .and_then(|id| ImageId::new(id).ok())
        .ok_or_else(|| invalid_response(operation, "podman described an image without id"))?;
    let mut info = ImageInfo::new(id);
    info.names = json::list(row, &["RepoTags"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    info.labels = json::field(row, &["Config"])
        .filter(|config| json::field(config, &["Labels"]).is_some())
        .map_or_else(
            || json::text_pairs(row, &["Labels"]).collect(),
            |config| json::text_pairs(config, &["Labels"]).collect(),
        );
    info.size = json::unsigned(row, &["Size"]);
    info.created = json::time(row, &["Created"]);
    Ok(info)
}

/// Decodes the rows of `podman images --format json`: one pair for each name. podman repeats an
/// image for each of its names, each time with all of them, so known names are skipped.
pub(crate) fn decode_images(operation: &'static str, stdout: &str) -> Result<Vec<(ImageRef, Listed)>> {
    let mut found: Vec<(ImageRef, Listed)> = Vec::new();
    for row in rows(operation, stdout)? {
        let reference = json::text(&row, &["Id"]).and_then(|id| ImageRef::new(id).ok());
        let reference =
            reference.ok_or_else(|| invalid_response(operation, "podman lists an image without an id"))?;
        let mut names: Vec<_> =
            json::list(&row, &["Names", "RepoTags"]).iter().filter_map(Value::as_str).collect();
        if names.is_empty() {
            names.push(NONE);
        }
        for name in names {
            let (repository, tag) = split_name(name);
            let listed = Listed {
                repository,
                tag,
                size: json::unsigned(&row, &["Size"]),
                created: json::time(&row, &["Created", "CreatedAt"]),
            };
            if !found.iter().any(|known| known.0 == reference && known.1 == listed) {
                found.push((reference.clone(), listed));
            }
        }
    }
    Ok(found)
}

/// Splits `localhost:5000/a:1` into `localhost:5000/a` and `1`; a colon before the last slash
/// belongs to a port. Empty parts become `<none>`, as podman shows them.
fn split_name(name: &str) -> (String, String) {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match name[last..].find(':') {
        Some(colon) => (&name[..last + colon], &name[last + colon + 1..]),
        None => (name, ""),
    };
    let shown = |part: &str| if part.is_empty() { NONE.to_owned() } else { part.to_owned() };
    (shown(repository), shown(tag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_name_is_a_row_and_an_image_without_one_too() {
        let text = r#"[{"Id":"aa","RepoTags":null,"Names":["localhost/a:1","localhost:5000/b:2"],"Size":5,"Created":7},
            {"Id":"aa","Names":["localhost/a:1","localhost:5000/b:2"],"Size":5,"Created":7},
            {"Id":"bb","RepoTags":null,"Size":6}]"#;
        let found = decode_images("list images", text).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|(reference, listed)| (reference.as_str(), listed.repository.as_str(), listed.tag.as_str()))
            .collect();
        assert_eq!(
            shown,
            [("aa", "localhost/a", "1"), ("aa", "localhost:5000/b", "2"), ("bb", "<none>", "<none>")]
        );
    }

    #[test]
    fn what_says_of_no_image_that_it_is_absent_or_there_is_an_error() {
        for none in ["", "[]", "null"] {
            assert!(decode_inspect("inspect", none).is_err(), "{none}");
        }
        for row in ["{\"Size\":6}", "null", "7", "{\"Id\":\"\"}"] {
            assert!(decode_images("list images", &format!("[{{\"Id\":\"aa\"}},{row}]")).is_err(), "{row}");
        }
    }

    #[test]
    fn no_part_of_a_name_is_ever_empty() {
        let pair = |repository: &str, tag: &str| (repository.to_owned(), tag.to_owned());
        assert_eq!(split_name("a:1"), pair("a", "1"));
        assert_eq!(split_name("localhost:5000/a"), pair("localhost:5000/a", "<none>"));
        assert_eq!(split_name("a:"), pair("a", "<none>"));
        assert_eq!(split_name(":1"), pair("<none>", "1"));
        assert_eq!(split_name(""), pair("<none>", "<none>"));
    }

    #[test]
    fn labels_are_read_from_the_configuration() {
        let info =
            decode_inspect("inspect", r#"[{"Id":"a","Config":{"Labels":{"k":"v"}},"Labels":null}]"#).unwrap();
        assert_eq!(info.labels.get("k").map(String::as_str), Some("v"));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_decoder_panic(text in "\\PC{0,60}|(\\[|\\{|\"Id\":|\"Names\":|null|1|,|\\]|\\}|\"x\"){0,20}") {
            let _ = decode_images("list", &text);
            let _ = decode_inspect("inspect", &text);
        }
    }
}
