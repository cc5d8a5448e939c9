//! `podman import`: an image from an archive of a root file system.

use std::fs::{self, File};
use std::io;

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::image::{Image, whole_name};
use crate::images;
use crate::store::random_id;
use crate::{archive, event, time};

pub(crate) fn import(call: &Call) -> Reply {
    let (source, name) = match &call.words.operands[..] {
        [source] => (source, None),
        [source, name] => (source, Some(whole_name(name))),
        words => {
            return Err(Answer::refused(
                125,
                format!("Error: accepts between 1 and 2 arg(s), received {}", words.len()),
            ));
        }
    };
    let mut image = Image { id: random_id()?, ..Image::default() };
    for change in call.words.values("change") {
        apply(&mut image, change)?;
    }
    let directory = call.store.image_dir(&image.id);
    let root = directory.join("root");
    fs::create_dir_all(&root)?;
    let unpacked = if source == "-" {
        archive::unpack(io::stdin().lock(), &root)
    } else {
        File::open(source).and_then(|file| archive::unpack(file, &root))
    };
    let measured = unpacked.and_then(|()| archive::size(&root));
    image.size = match measured {
        Ok(size) => size,
        Err(error) => {
            fs::remove_dir_all(directory)?;
            return Err(error.into());
        }
    };
    image.created = time::now();
    let lock = call.store.lock()?;
    call.store.save_image(&lock, &image)?;
    if let Some(name) = name {
        images::move_tag(&call.store, &lock, &image.id, &name)?;
        event::record_image(&call.store, &lock, &image, &name, "pull")?;
    }
    Ok(Answer::out(format!("sha256:{}\n", image.id)))
}

/// An instruction as a Containerfile has them.
fn apply(image: &mut Image, change: &str) -> Result<(), Answer> {
    let refuse = || Answer::own(format!("it does not play --change {change:?}"));
    let (instruction, rest) = change.split_once([' ', '=']).ok_or_else(refuse)?;
    let pair =
        || rest.split_once('=').map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
    match instruction.to_ascii_uppercase().as_str() {
        "CMD" => {
            let shell = || ["/bin/sh", "-c", rest].map(str::to_owned).to_vec();
            image.command = serde_json::from_str(rest).unwrap_or_else(|_| shell());
        }
        "LABEL" => image.labels.extend(pair()),
        "ENV" => image.env.extend(pair()),
        "USER" => rest.clone_into(&mut image.user),
        "WORKDIR" => rest.clone_into(&mut image.workdir),
        _ => return Err(refuse()),
    }
    Ok(())
}
