//! The verbs that ask for images.

use std::fs;

use serde_json::{Value, json};

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::image::{Image, whole_name};
use crate::json::{pairs, pretty};
use crate::store::{Lock, Store};
use crate::{event, time};

/// Who podman takes this word for: a name, an id, or the beginning of an id.
pub(crate) fn find(store: &Store, lock: &Lock, word: &str) -> Result<Option<Image>, Answer> {
    let name = whole_name(word);
    let id = word.strip_prefix("sha256:").unwrap_or(word);
    let all = store.images(lock)?;
    let by_name = all.iter().find(|image| image.names.contains(&name));
    let by_id = || all.iter().find(|image| !id.is_empty() && image.id.starts_with(id));
    Ok(by_name.or_else(by_id).cloned())
}

fn require(call: &Call, lock: &Lock, word: &str, refusal: &str) -> Result<Image, Answer> {
    find(&call.store, lock, word)?.ok_or_else(|| call.profile.refusal(refusal, &[("name", word)]))
}

pub(crate) fn exists(call: &Call) -> Reply {
    let lock = call.store.lock()?;
    let found = find(&call.store, &lock, call.operand()?)?;
    Ok(Answer::code(u8::from(found.is_none())))
}

pub(crate) fn list(call: &Call) -> Reply {
    let lock = call.store.lock()?;
    let containers = call.store.containers(&lock)?;
    let mut rows = Vec::new();
    for image in call.store.images(&lock)? {
        let mut row = call.profile.answer("image-row");
        row["Id"] = json!(image.id);
        row["Names"] = if image.names.is_empty() { Value::Null } else { json!(image.names) };
        row["History"] = json!(image.names);
        row["Labels"] = pairs(&image.labels);
        row["Size"] = json!(image.size);
        row["VirtualSize"] = json!(image.size);
        row["Created"] = json!(time::seconds(image.created));
        row["CreatedAt"] = json!(time::rfc3339(image.created / 1_000_000_000 * 1_000_000_000));
        row["Containers"] =
            json!(containers.iter().filter(|container| container.image_id == image.id).count());
        // podman repeats an image for each of its names, each time with all of them.
        let times = image.names.len().max(1);
        rows.extend(std::iter::repeat_n(row, times));
    }
    Ok(Answer::out(pretty(&Value::Array(rows), b"    ")?))
}

pub(crate) fn inspect(call: &Call) -> Reply {
    let word = call.operand()?;
    let lock = call.store.lock()?;
    let image =
        require(call, &lock, word, "inspect-no-image").map_err(|refusal| refusal.with_stdout("[]\n"))?;
    let mut row = call.profile.answer("image");
    row["Id"] = json!(image.id);
    row["RepoTags"] = json!(image.names);
    row["NamesHistory"] = json!(image.names);
    row["Created"] = json!(time::rfc3339(image.created));
    row["Size"] = json!(image.size);
    row["VirtualSize"] = json!(image.size);
    row["User"] = json!(image.user);
    row["Labels"] = pairs(&image.labels);
    let mut config = json!({});
    if !image.command.is_empty() {
        config["Cmd"] = json!(image.command);
    }
    if !image.labels.is_empty() {
        config["Labels"] = json!(image.labels);
    }
    if !image.env.is_empty() {
        let env: Vec<_> = image.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        config["Env"] = json!(env);
    }
    for (key, value) in [("User", &image.user), ("WorkingDir", &image.workdir)] {
        if !value.is_empty() {
            config[key] = json!(value);
        }
    }
    row["Config"] = config;
    Ok(Answer::out(pretty(&json!([row]), b"     ")?))
}

pub(crate) fn history(call: &Call) -> Reply {
    let lock = call.store.lock()?;
    let image = require(call, &lock, call.operand()?, "image-unknown")?;
    let mut row = call.profile.answer("history-row");
    row["id"] = json!(image.id);
    row["created"] = json!(time::rfc3339(image.created));
    row["Created"] = json!(time::rfc3339(image.created / 1_000_000_000 * 1_000_000_000));
    row["size"] = json!(image.size);
    if row.get("tags").is_some() {
        row["tags"] = json!(image.names);
    }
    Ok(Answer::out(format!("{}\n", json!([row]))))
}

pub(crate) fn tag(call: &Call) -> Reply {
    let [word, names @ ..] = &call.words.operands[..] else {
        return Err(Answer::refused(125, "Error: requires at least 2 arg(s), only received 0"));
    };
    let lock = call.store.lock()?;
    let image = require(call, &lock, word, "image-unknown")?;
    for name in names {
        move_tag(&call.store, &lock, &image.id, &whole_name(name))?;
    }
    Ok(Answer::silent())
}

/// Takes the name from whoever has it.
pub(crate) fn move_tag(store: &Store, lock: &Lock, id: &str, name: &str) -> Result<(), Answer> {
    for mut image in store.images(lock)? {
        let has = image.names.iter().any(|known| known == name);
        if image.id == id && !has {
            image.names.push(name.to_owned());
            store.save_image(lock, &image)?;
            event::record_image(store, lock, &image, name, "tag")?;
        } else if image.id != id && has {
            image.names.retain(|known| known != name);
            store.save_image(lock, &image)?;
        }
    }
    Ok(())
}

pub(crate) fn rm(call: &Call) -> Reply {
    let lock = call.store.lock()?;
    let mut answer = Answer::silent();
    for word in &call.words.operands {
        match remove(call, &lock, word) {
            Ok(text) => answer.stdout.extend(text.into_bytes()),
            Err(refusal) if refusal.code == 1 && (call.words.has("force") || call.words.has("ignore")) => {}
            Err(refusal) => {
                answer.code = answer.code.max(refusal.code);
                answer.stderr.push_str(&refusal.stderr);
            }
        }
    }
    Ok(answer)
}

/// Takes a name away; the image itself goes with the last one, unless a container uses it.
fn remove(call: &Call, lock: &Lock, word: &str) -> Result<String, Answer> {
    let mut image = require(call, lock, word, "image-rm-unknown")?;
    let name = whole_name(word);
    let named = image.names.contains(&name);
    if named && image.names.len() > 1 {
        image.names.retain(|known| *known != name);
        call.store.save_image(lock, &image)?;
        event::record_image(&call.store, lock, &image, &name, "untag")?;
        return Ok(format!("Untagged: {name}\n"));
    }
    let users = call.store.containers(lock)?;
    if let Some(user) = users.iter().find(|container| container.image_id == image.id) {
        return Err(call.profile.refusal("image-in-use", &[("id", &user.id)]));
    }
    if !named && image.names.len() > 1 {
        let all = format!("[{}]", image.names.join(" "));
        return Err(call.profile.refusal("image-many-names", &[("id", &image.id), ("names", &all)]));
    }
    fs::remove_dir_all(call.store.image_dir(&image.id))?;
    let mut text = String::new();
    for name in &image.names {
        event::record_image(&call.store, lock, &image, name, "untag")?;
        text.extend(["Untagged: ", name, "\n"]);
    }
    event::record_image(&call.store, lock, &image, word, "remove")?;
    Ok(format!("{text}Deleted: {}\n", image.id))
}
