//! Facts about images: listings, queries, removal.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::time::SystemTime;

use rt_null::{ImageFixture, NullRuntime};
use rt_protocol::{
    ContainerRuntime, ContainerRuntimeExt, ImageExt, ImageFilter, ImageRef, ImageRemoval, LaunchSpec, Result,
    Until,
};

fn reference(text: &str) -> ImageRef {
    ImageRef::new(text).unwrap()
}

#[test]
fn a_listing_keeps_its_order_and_brings_facts_along() -> Result<()> {
    let runtime = NullRuntime::new();
    runtime.add_image(ImageFixture::new("localhost:5000/b")?.size(2).created(SystemTime::UNIX_EPOCH));
    runtime.add_image(ImageFixture::dangling("0123456789abcdef")?.size(1));
    runtime.add_image(ImageFixture::new("a:1")?.id("feedbeef")?);
    let listed = runtime.images(&ImageFilter::all(), &Until::forever())?;
    let rows: Vec<_> = listed
        .iter()
        .map(|image| (image.reference().as_str(), image.repository().unwrap(), image.tag().unwrap()))
        .collect();
    assert_eq!(
        rows,
        [
            ("localhost:5000/b", "localhost:5000/b", "latest"),
            ("0123456789abcdef", "<none>", "<none>"),
            ("feedbeef", "a", "1"),
        ]
    );
    assert_eq!((listed[0].size(), listed[0].created()), (Some(2), Some(SystemTime::UNIX_EPOCH)));
    let dangling = runtime.images(&ImageFilter::dangling(), &Until::forever())?;
    assert_eq!(dangling.iter().map(|image| image.tag().unwrap()).collect::<Vec<_>>(), ["<none>"]);
    Ok(())
}

#[test]
fn absent_is_none_and_present_without_any_is_empty() -> Result<()> {
    let runtime = NullRuntime::new();
    let image = runtime.image(&reference("alpine"));
    assert_eq!(
        (image.id(Until::forever())?, image.labels(Until::forever())?, image.history(&Until::forever())?),
        (None, None, None)
    );
    assert!(!image.exists(Until::forever())?);
    assert_eq!((image.repository(), image.size()), (None, None));
    runtime.add_image(ImageFixture::new("alpine")?);
    assert_eq!(image.id(Until::forever())?, Some("alpine".parse()?));
    assert!(
        image.labels(Until::forever())?.unwrap().is_empty()
            && image.history(&Until::forever())?.unwrap().is_empty()
    );
    assert!(runtime.image(&reference("alpine:latest")).exists(Until::forever())?);
    assert!(!runtime.image(&reference("alpine:3")).exists(Until::forever())?);
    Ok(())
}

#[test]
fn labels_history_and_names_are_as_set() -> Result<()> {
    let runtime = NullRuntime::new();
    runtime.add_image(ImageFixture::new("a:1")?.id("feed")?.label("k", "v").history(["CMD", "ADD"]));
    runtime.add_image(ImageFixture::new("b:2")?.id("feed")?);
    let info = runtime.image(&reference("a:1")).inspect(&Until::forever())?.unwrap();
    assert_eq!((info.id.as_str(), &info.names[..]), ("feed", &["a:1".to_owned(), "b:2".to_owned()][..]));
    assert_eq!(runtime.image(&reference("feed")).history(&Until::forever())?.unwrap(), ["CMD", "ADD"]);
    Ok(())
}

#[test]
fn an_image_in_use_stays_and_a_second_name_of_it_goes() -> Result<()> {
    let runtime = NullRuntime::new();
    runtime.add_image(ImageFixture::new("a:1")?.id("feed")?);
    runtime.add_image(ImageFixture::new("b:2")?.id("feed")?);
    let job = runtime.launch(&LaunchSpec::builder("job", "a:1").build()?, Until::forever())?;
    assert_eq!(job.image(&Until::forever())?.unwrap().reference().as_str(), "feed");
    let ImageRemoval::Refused(why) = runtime.image(&reference("feed")).remove(&Until::forever())? else {
        panic!()
    };
    assert!(why.contains("several names"), "{why}");
    assert_eq!(runtime.image(&reference("feed")).inspect(&Until::forever())?.unwrap().names, ["a:1", "b:2"]);
    assert_eq!(runtime.image(&reference("b:2")).remove(&Until::forever())?, ImageRemoval::Removed);
    let ImageRemoval::Refused(why) = runtime.image(&reference("a:1")).remove(&Until::forever())? else {
        panic!()
    };
    assert!(why.contains("`job`"), "{why}");
    let _ = runtime.force_remove(std::slice::from_ref(&job.key().name), &Until::forever());
    assert_eq!(runtime.image(&reference("feed")).remove(&Until::forever())?, ImageRemoval::Removed);
    assert_eq!(runtime.image(&reference("feed")).remove(&Until::forever())?, ImageRemoval::Removed);
    assert!(runtime.images(&ImageFilter::all(), &Until::forever())?.is_empty());
    Ok(())
}

#[test]
fn a_pulled_image_is_listed_from_then_on() -> Result<()> {
    let runtime = NullRuntime::new();
    runtime.create(&LaunchSpec::builder("a", "docker.io/library/alpine:3").build()?, &Until::forever())?;
    runtime.create(&LaunchSpec::builder("b", "docker.io/library/alpine:3").build()?, &Until::forever())?;
    assert_eq!(runtime.images(&ImageFilter::all(), &Until::forever())?.len(), 1);
    Ok(())
}
