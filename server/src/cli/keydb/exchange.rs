//! `import` and `export`.

use engine::keydb::Content;
use serde_json::json;
use zeroize::Zeroizing;

use super::args::{self, Form};
use super::{Answer, Outcome, ask, change, deliver, open, refuse_terminal};
use crate::exit::Exit;
use crate::keydb::{Access, Failure, read_file, write_file};

pub(super) fn import(command: &args::Import) -> Outcome {
    let bytes = read_file(&command.file)?;
    let of_file = |error| Failure::of(&command.file, error);
    let content = Content::of(&bytes).map_err(of_file)?;
    let label = command.label.as_deref();
    let trusted = !command.untrusted;
    if command.key.is_some() && !matches!(content, Content::Certificates { .. }) {
        let what = "--key goes with a certificate in PEM or DER";
        return Err(Failure::new(Exit::Usage, what, "leave it out"));
    }
    let imported = match content {
        Content::Certificates { certificates, key } => {
            let key = match &command.key {
                Some(path) => Some(key_of(path)?),
                None => key,
            };
            change(&command.place, |store| {
                let imported = store.database.import(label, &certificates, key.as_ref(), trusted);
                imported.map_err(of_file)
            })?
        }
        Content::Pkcs12 => {
            let source = command.file_password_file.as_deref();
            let question = format!("Password of {}", command.file.display());
            let password = ask::password(source, &question, "--file-password-file")?;
            change(&command.place, |store| {
                let imported = store.database.import_pkcs12(label, &bytes, &password, trusted);
                imported.map_err(of_file)
            })?
        }
        Content::Request(_) => {
            return Err(Failure::new(
                Exit::Data,
                format!("{}: this is a request, not a certificate", command.file.display()),
                "sign it: adjunct keydb sign DATABASE REQUEST --ca LABEL",
            ));
        }
    };
    let mut text = String::new();
    for label in &imported.added {
        text += &format!("\"{label}\" imported.\n");
    }
    for label in &imported.known {
        text += &format!("\"{label}\" was here already.\n");
    }
    Ok(Answer::new(text, json!({ "imported": imported.added, "known": imported.known })))
}

/// A private key from a file of its own.
fn key_of(path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes = read_file(path)?;
    engine::keydb::private_key(&bytes).map_err(|error| Failure::of(path, error))
}

pub(super) fn export(command: &args::Export) -> Outcome {
    let store = open(&command.place, Access::Read)?;
    let database = &store.database;
    let label = &command.label;
    let value = json!({ "label": label, "chain": command.chain, "private_key": command.key });
    let output = command.output.as_deref();
    match command.form {
        Form::Pem if !command.key => {
            let text = database.export_pem(label, command.chain, false)?;
            deliver(&text, output, "Certificate", value)
        }
        Form::Pem => {
            refuse_terminal(output)?;
            let text = database.export_pem(label, command.chain, true)?;
            deliver(&text, output, "Certificate and key", value)
        }
        Form::Der => {
            let der = database.export_der(label, command.chain, command.key)?;
            write(command, &der, value)
        }
        Form::Pkcs12 => {
            let source = command.file_password_file.as_deref();
            let question = "Password of the new file";
            let password = ask::new_password(source, question, "--file-password-file")?;
            let file = database.export_pkcs12(label, command.chain, command.key, &password)?;
            write(command, &file, value)
        }
    }
}

/// Writes what is not text.
fn write(command: &args::Export, bytes: &[u8], mut value: serde_json::Value) -> Outcome {
    let Some(path) = &command.output else {
        let what = "this form is binary, and goes into a file";
        return Err(Failure::new(Exit::Usage, what, "give --output FILE"));
    };
    write_file(path, bytes)?;
    value["file"] = path.display().to_string().into();
    Ok(Answer::new(format!("Written to {}\n", path.display()), value))
}
