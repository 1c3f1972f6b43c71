//! Keeping a database: `passwd`, `stash`, `rename`, `default`, `trust`, `delete`.

use serde_json::json;

use super::args::{self, YesNo};
use super::{Answer, Outcome, ask, change, end_of_days, open};
use crate::keydb::Access;
use crate::observe::time::rfc3339;

pub(super) fn passwd(command: &args::Passwd) -> Outcome {
    let mut store = open(&command.place, Access::Password)?;
    let file = command.new_password_file.as_deref();
    let password = ask::new_password(file, "New password", "--new-password-file")?;
    let ends = end_of_days(command.expire_days);
    let stash = command.place.how.stash_file.as_deref();
    let stashed = store.change_password(password, ends, stash)?;
    let also = if stashed { ", in the stash too" } else { "" };
    Ok(Answer::new(
        format!("Password of {} changed{also}.\n", store.path().display()),
        json!({ "password_ends": ends.map(rfc3339), "stashed": stashed }),
    ))
}

pub(super) fn stash(command: &args::Stash) -> Outcome {
    let store = open(&command.place, Access::Stash)?;
    let at = store.stash(command.to.as_deref())?;
    let at = at.display().to_string();
    Ok(Answer::new(format!("Database password stored in {at}.\n"), json!({ "stash": at })))
}

pub(super) fn rename(command: &args::Rename) -> Outcome {
    change(&command.place, |store| {
        store.database.rename(&command.label, &command.to)?;
        let text = format!("\"{}\" is now \"{}\".\n", command.label, command.to);
        Ok(Answer::new(text, json!({ "label": command.to })))
    })
}

pub(super) fn default(command: &args::DefaultKey) -> Outcome {
    let Some(label) = &command.label else {
        let store = open(&command.place, Access::Read)?;
        let label = store.database.default_label();
        let text = label.map_or_else(|| "There is no default key.\n".into(), |l| format!("{l}\n"));
        return Ok(Answer::new(text, json!({ "default": label })));
    };
    change(&command.place, |store| {
        store.database.set_default(label)?;
        let text = format!("\"{label}\" is the default key.\n");
        Ok(Answer::new(text, json!({ "default": label })))
    })
}

pub(super) fn trust(command: &args::Trust) -> Outcome {
    let trusted = command.trusted == YesNo::Yes;
    change(&command.place, |store| {
        store.database.set_trust(&command.label, trusted)?;
        let word = if trusted { "trusted" } else { "not trusted" };
        let text = format!("\"{}\" is {word}.\n", command.label);
        Ok(Answer::new(text, json!({ "label": command.label, "trusted": trusted })))
    })
}

pub(super) fn delete(command: &args::Delete) -> Outcome {
    change(&command.place, |store| {
        store.database.delete(&command.label, command.force)?;
        let text = format!("\"{}\" deleted.\n", command.label);
        Ok(Answer::new(text, json!({ "deleted": command.label })))
    })
}
