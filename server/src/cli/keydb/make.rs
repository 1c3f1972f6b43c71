//! Databases, certificates, keys and requests: `create`, `ca`, `issue`, `request`, `sign`,
//! `receive`, `renew`.

use std::time::SystemTime;

use engine::keydb::{
    self, AltName, Content, Database, Hash, Subject, Terms, Usage, certificate_pem, request_pem,
    single_certificate,
};
use serde_json::json;

use super::args::{self, UsageName};
use super::{
    Answer, Outcome, ask, change, circumstances, deliver, end_of_days, open, self_tests, tell,
};
use crate::cli::complain;
use crate::exit::Exit;
use crate::keydb::{Access, Failure, Store, read_file};
use crate::observe::time::rfc3339;

pub(super) fn create(command: &args::Create) -> Outcome {
    let how = &command.place.how;
    if circumstances(how)?.fips && !command.fips {
        return Err(Failure::new(
            Exit::Config,
            "a FIPS mode is on, and only a FIPS database could be used in it",
            "give --fips",
        ));
    }
    if how.stashed || how.stash_file.is_some() {
        return Err(Failure::new(
            Exit::Usage,
            "a database that is not there yet has no stash",
            "give --password-file, then `adjunct keydb stash`",
        ));
    }
    if command.fips {
        self_tests()?;
    }
    let file = how.password_file.as_deref();
    let password = ask::new_password(file, "Password of the new database", "--password-file")?;
    let ends = end_of_days(command.expire_days);
    let database = Database::new(password, command.fips, ends)?;
    let store = Store::create(&command.place.database, database)?;
    let path = store.path().display().to_string();
    let kind = if command.fips { "FIPS key database" } else { "Key database" };
    Ok(Answer::new(
        format!("{kind} {path} created.\n"),
        json!({ "database": path, "fips": command.fips, "password_ends": ends.map(rfc3339) }),
    ))
}

/// The subject from the flags, or from the terminal in gskkyman's order.
fn subject(flags: &args::Subject) -> Result<Subject, Failure> {
    if flags.cn.is_none() && ask::interactive() {
        complain("Subject name of the certificate (press ENTER for none)");
    } else if flags.cn.is_some() {
        // Whoever gives the required part by flag gives all of them so.
        return Ok(Subject {
            common_name: flags.cn.clone().unwrap_or_default(),
            unit: flags.ou.clone(),
            organization: flags.org.clone(),
            locality: flags.locality.clone(),
            state: flags.state.clone(),
            country: flags.country.clone(),
        });
    }
    let Some(common_name) = ask::optional(flags.cn.as_ref(), "Common name (required)")? else {
        let what = "the subject has no common name";
        return Err(Failure::new(Exit::Usage, what, "give --cn"));
    };
    Ok(Subject {
        common_name,
        unit: ask::optional(flags.ou.as_ref(), "Organizational unit (optional)")?,
        organization: ask::optional(flags.org.as_ref(), "Organization (optional)")?,
        locality: ask::optional(flags.locality.as_ref(), "City/Locality (optional)")?,
        state: ask::optional(flags.state.as_ref(), "State/Province (optional)")?,
        country: ask::optional(flags.country.as_ref(), "Country/Region (2 letters, optional)")?,
    })
}

fn usage(name: UsageName, path_len: Option<u8>) -> Result<Usage, Failure> {
    if path_len.is_some() && name != UsageName::Ca {
        return Err(Failure::new(
            Exit::Usage,
            "--path-len is for certificates of CAs",
            "leave it out, or give --usage ca",
        ));
    }
    Ok(match name {
        UsageName::Server => Usage::Server,
        UsageName::Client => Usage::Client,
        UsageName::Both => Usage::Both,
        UsageName::Ca => Usage::Ca { path_len },
    })
}

/// The alternative names of a server that was given none: its common name, if that can be one.
fn names_of(usage: Usage, given: &[AltName], common_name: &str) -> Vec<AltName> {
    let is_server = matches!(usage, Usage::Server | Usage::Both);
    match AltName::parse(common_name) {
        Ok(name) if given.is_empty() && is_server => {
            complain(&format!(
                "note: no --san: clients will know this server as {common_name} alone"
            ));
            vec![name]
        }
        _ => given.to_vec(),
    }
}

pub(super) fn ca(command: &args::Ca) -> Outcome {
    let subject = subject(&command.subject)?;
    let terms = Terms {
        usage: Usage::Ca { path_len: command.path_len },
        days: command.days,
        hash: command.digest.map(Hash::from),
        names: Vec::new(),
    };
    change(&command.place, |store| {
        let now = SystemTime::now();
        let kind = command.key.into();
        store.database.create_ca(&command.label, kind, &subject, &terms, now)?;
        made(&store.database, &command.label)
    })
}

pub(super) fn issue(command: &args::Issue) -> Outcome {
    let subject = subject(&command.subject)?;
    let usage = usage(command.usage, command.path_len)?;
    let terms = Terms {
        usage,
        days: command.days,
        hash: command.digest.map(Hash::from),
        names: names_of(usage, &command.names.names, &subject.common_name),
    };
    change(&command.place, |store| {
        let (label, ca) = (&command.label, &command.ca);
        let (kind, now) = (command.key.into(), SystemTime::now());
        tell(&store.database.create_signed(label, ca, kind, &subject, &terms, now)?);
        made(&store.database, label)
    })
}

fn made(database: &Database, label: &str) -> Outcome {
    let info = database.info(label)?;
    let text = format!("Certificate \"{label}\" created, valid until {}.\n", info.expiration);
    Ok(Answer::new(text, json!(info)))
}

pub(super) fn request(command: &args::Request) -> Outcome {
    let subject = subject(&command.subject)?;
    let (request, label) = change(&command.place, |store| {
        let kind = command.key.into();
        let hash = command.digest.map(Hash::from);
        let names = &command.names.names;
        let request = store.database.create_request(&command.label, kind, &subject, names, hash)?;
        Ok((request, command.label.clone()))
    })?;
    let (subject, _, names) = keydb::of_request(&request)?;
    let value = json!({ "label": label, "subject": subject, "names": names });
    deliver(&request_pem(&request)?, command.output.as_deref(), "Request", value)
}

pub(super) fn sign(command: &args::Sign) -> Outcome {
    let bytes = read_file(&command.request)?;
    let of_file = |error| Failure::of(&command.request, error);
    let Content::Request(request) = Content::of(&bytes).map_err(of_file)? else {
        return Err(Failure::new(
            Exit::Data,
            format!("{}: this is no certificate request", command.request.display()),
            "name the file that `adjunct keydb request` or openssl req wrote",
        ));
    };
    let (subject, _, asked) = keydb::of_request(&request).map_err(of_file)?;
    let usage = usage(command.usage, command.path_len)?;
    let mut names = command.names.names.clone();
    if names.is_empty() && asked.is_empty() {
        let common_name = subject.split(',').find_map(|part| part.strip_prefix("CN="));
        names = names_of(usage, &[], common_name.unwrap_or_default());
    }
    let hash = command.digest.map(Hash::from);
    let terms = Terms { usage, days: command.days, hash, names };
    let store = open(&command.place, Access::Read)?;
    let signed = store.database.sign_request(&command.ca, &request, &terms, SystemTime::now())?;
    tell(&signed.notices);
    let value = json!(keydb::of_certificate(&signed.certificate)?);
    let text = certificate_pem(&signed.certificate)?;
    deliver(&text, command.output.as_deref(), "Certificate", value)
}

pub(super) fn receive(command: &args::Receive) -> Outcome {
    let bytes = read_file(&command.file)?;
    let of_file = |error| Failure::of(&command.file, error);
    let certificate = single_certificate(&bytes).map_err(of_file)?;
    change(&command.place, |store| {
        let label = store.database.receive(&certificate).map_err(of_file)?;
        let text = format!("Certificate received under the label \"{label}\".\n");
        Ok(Answer::new(text, json!(store.database.info(&label)?)))
    })
}

pub(super) fn renew(command: &args::Renew) -> Outcome {
    let label = &command.label;
    let hash = command.digest.map(Hash::from);
    if let Some(output) = &command.request {
        let request =
            change(&command.place, |store| Ok(store.database.renewal_request(label, hash)?))?;
        let value = json!({ "label": label });
        return deliver(&request_pem(&request)?, Some(output), "Request", value);
    }
    change(&command.place, |store| {
        tell(&store.database.renew(label, command.days, hash, SystemTime::now())?);
        let info = store.database.info(label)?;
        let text = format!("Certificate \"{label}\" renewed, valid until {}.\n", info.expiration);
        Ok(Answer::new(text, json!(info)))
    })
}
