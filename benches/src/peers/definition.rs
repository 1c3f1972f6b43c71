//! What a peer is: one TOML file each.
//!
//! Invariants: a definition is checked whole when it is read, so that a typing error is told before
//! anything is measured; a word in braces that is no placeholder is such an error; nothing outside
//! the directory of a run is written.
//!
//! The built-in ones are the files of `benches/peers/`, compiled in: a binary that is copied to
//! another machine still knows them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ADJUNCT;
use crate::Failure;

/// The definitions that are compiled in.
const BUILT_IN: [(&str, &str); 4] = [
    ("benches/peers/haproxy.toml", include_str!("../../peers/haproxy.toml")),
    ("benches/peers/nginx.toml", include_str!("../../peers/nginx.toml")),
    ("benches/peers/hitch.toml", include_str!("../../peers/hitch.toml")),
    ("benches/peers/stunnel.toml", include_str!("../../peers/stunnel.toml")),
];

/// Where daemons are that the PATH of a user often lacks.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// A file as it stands in TOML; what is left out comes from the definition named in `like`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    like: Option<String>,
    program: Option<String>,
    version: Option<Vec<String>>,
    version_lines: Option<Vec<String>>,
    needs: Option<Vec<PathBuf>>,
    start: Option<Vec<String>>,
    workers: Option<bool>,
    environment: Option<BTreeMap<String, String>>,
    #[serde(default)]
    file: Vec<Template>,
}

/// A file that the peer reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name in the directory of the run.
    pub name: String,
    /// What it says, with placeholders.
    pub text: String,
}

/// A server that Adjunct is compared with.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What tables call it.
    pub name: String,
    /// A command of the PATH, or a path.
    pub program: String,
    /// Arguments with which it tells its version.
    pub version: Vec<String>,
    /// Beginnings of the lines of that answer worth keeping; all lines when there are none.
    pub version_lines: Vec<String>,
    /// Other files without which it does not work.
    pub needs: Vec<PathBuf>,
    /// Arguments with which it starts in the foreground, with placeholders.
    pub start: Vec<String>,
    /// Whether it has a number of workers.
    pub workers: bool,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// The files it reads.
    pub files: Vec<Template>,
}

/// The definitions that are compiled in.
///
/// # Errors
/// One of them is wrong, which a test excludes.
pub fn built_in() -> Result<Vec<Definition>, Failure> {
    BUILT_IN.iter().map(|(path, text)| parse(path, text, &[])).collect()
}

/// The definition in a file; `known` are those it may be `like`.
///
/// # Errors
/// The file cannot be read, is not a definition, or has a name that is taken.
pub fn read(path: &Path, known: &[Definition]) -> Result<Definition, Failure> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|e| format!("{shown}: the definition of a peer cannot be read: {e}"))?;
    parse(&shown, &text, known)
}

fn parse(path: &str, text: &str, known: &[Definition]) -> Result<Definition, Failure> {
    let raw: Raw = toml::from_str(text).map_err(|e| format!("{path}: {e}"))?;
    let wrong = |what: String| -> Failure { format!("{path}: {what}").into() };
    let name_is_fit = raw.name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if raw.name.is_empty() || !name_is_fit || raw.name.starts_with(ADJUNCT) {
        return Err(wrong(format!(
            "name `{}`: give it one of letters, digits, `-`, `.` and `_` that does not begin with \
             `{ADJUNCT}`",
            raw.name
        )));
    }
    if known.iter().any(|other| other.name == raw.name) {
        return Err(wrong(format!("name `{}` is taken: choose another", raw.name)));
    }
    let base = match &raw.like {
        None => None,
        Some(like) => Some(known.iter().find(|other| &other.name == like).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|other| other.name.as_str()).collect();
            wrong(format!("like `{like}`: there is no such peer, but {}", names.join(", ")))
        })?),
    };
    let definition = merged(raw, base).map_err(&wrong)?;
    definition.check().map_err(&wrong)?;
    Ok(definition)
}

/// What a file says over what it is `like`.
fn merged(raw: Raw, base: Option<&Definition>) -> Result<Definition, String> {
    let missing =
        |key: &str| format!("`{key}` is missing, and `like` names nobody to take it from");
    let mut files = base.map(|base| base.files.clone()).unwrap_or_default();
    for file in raw.file {
        files.retain(|other| other.name != file.name);
        files.push(file);
    }
    Ok(Definition {
        name: raw.name,
        program: raw
            .program
            .or_else(|| base.map(|base| base.program.clone()))
            .ok_or_else(|| missing("program"))?,
        version: raw
            .version
            .or_else(|| base.map(|base| base.version.clone()))
            .ok_or_else(|| missing("version"))?,
        version_lines: raw
            .version_lines
            .or_else(|| base.map(|base| base.version_lines.clone()))
            .unwrap_or_default(),
        needs: raw.needs.or_else(|| base.map(|base| base.needs.clone())).unwrap_or_default(),
        start: raw
            .start
            .or_else(|| base.map(|base| base.start.clone()))
            .ok_or_else(|| missing("start"))?,
        workers: raw.workers.or_else(|| base.map(|base| base.workers)).unwrap_or(true),
        environment: raw
            .environment
            .or_else(|| base.map(|base| base.environment.clone()))
            .unwrap_or_default(),
        files,
    })
}

impl Definition {
    fn check(&self) -> Result<(), String> {
        for file in &self.files {
            let plain = Path::new(&file.name).file_name().is_some_and(|name| name == &*file.name);
            if !plain {
                return Err(format!("file `{}`: a name without a directory, please", file.name));
            }
            render(&file.text, |name| is_placeholder(name).then(String::new))
                .map_err(|what| format!("file `{}`: {what}", file.name))?;
        }
        for argument in &self.start {
            render(argument, |name| is_placeholder(name).then(String::new))
                .map_err(|what| format!("start: {what}"))?;
        }
        Ok(())
    }

    /// Where its program is.
    ///
    /// # Errors
    /// It is not installed, or something it needs is not; the text is the reason for a table.
    pub fn find(&self) -> Result<PathBuf, String> {
        let program = locate(&self.program)
            .ok_or_else(|| format!("the program `{}` is not installed", self.program))?;
        match self.needs.iter().find(|path| !path.exists()) {
            Some(path) => Err(format!("{} is not installed", path.display())),
            None => Ok(program),
        }
    }
}

/// The path of a command of the PATH or of the directories of daemons; of a path, itself.
fn locate(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.iter().map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// What may stand in braces.
pub const PLACEHOLDERS: [(&str, &str); 14] = [
    ("listen", "address to listen on, as `host:port`"),
    ("host", "its host"),
    ("port", "its port"),
    ("backend", "address plaintext goes to, as `host:port`"),
    ("backend_host", "its host"),
    ("backend_port", "its port"),
    ("cert", "path of the certificate (PEM)"),
    ("key", "path of its key (PEM, PKCS #8)"),
    ("pem", "path of both in one file"),
    ("directory", "directory of the run, removed afterwards"),
    ("workers", "1 or 2"),
    ("connections", "connections that the limit of open files allows"),
    ("descriptors", "twice as many: the client's side and the backend's"),
    ("user", "name of the user that runs the benchmark"),
];

fn is_placeholder(name: &str) -> bool {
    PLACEHOLDERS.iter().any(|(known, _)| *known == name)
}

/// Replaces `{name}` by its value. Braces around anything but a name belong to the text.
///
/// # Errors
/// A name that has no value; the text says which.
pub fn render(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        rendered.push_str(before);
        let name = after.split_once('}').map(|(name, _)| name).filter(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        match name {
            None => {
                rendered.push('{');
                rest = after;
            }
            Some(name) => {
                rendered.push_str(&value(name).ok_or_else(|| {
                    let known: Vec<&str> = PLACEHOLDERS.iter().map(|(known, _)| *known).collect();
                    format!("`{{{name}}}` is no placeholder; there are {}", known.join(", "))
                })?);
                rest = &after[name.len() + 1..];
            }
        }
    }
    rendered.push_str(rest);
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_of_the_tree_are_right() {
        let names: Vec<String> = built_in().unwrap().into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["haproxy", "nginx", "hitch", "stunnel"]);
    }

    #[test]
    fn the_example_replaces_one_file_and_keeps_the_rest() {
        let known = built_in().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/example.toml");
        let example = read(&path, &known).unwrap();
        assert_eq!((example.name.as_str(), &example.program), ("haproxy-plain", &known[0].program));
        assert_eq!(example.start, known[0].start);
        assert_eq!(example.files.len(), 1);
        assert!(known[0].files[0].text.contains("no log"));
        assert!(!example.files[0].text.contains("no log"));
    }

    #[test]
    fn braces_around_no_name_belong_to_the_text() {
        let value = |name: &str| (name == "port").then(|| "443".to_owned());
        let rendered = render("events { a; } stream { listen {port}; }{", value).unwrap();
        assert_eq!(rendered, "events { a; } stream { listen 443; }{");
    }

    #[test]
    fn faults_are_told_with_their_place_and_what_to_do() {
        let known = built_in().unwrap();
        let fault = |text: &str| parse("p.toml", text, &known).unwrap_err().to_string();
        let rest = "program = \"x\"\nversion = []\nstart = []\n";
        assert!(fault("name = \"x\"\n").contains("p.toml: `program` is missing"));
        assert!(fault(&format!("name = \"nginx\"\n{rest}")).contains("is taken"));
        assert!(fault(&format!("name = \"adjunct\"\n{rest}")).contains("does not begin with"));
        assert!(fault("name = \"x\"\nlike = \"y\"\n").contains("haproxy, nginx, hitch, stunnel"));
        assert!(fault(&format!("name = \"x\"\n{rest}speed = 1\n")).contains("speed"));
        let file = "[[file]]\nname = \"a/b\"\ntext = \"\"\n";
        assert!(fault(&format!("name = \"x\"\n{rest}{file}")).contains("without a directory"));
        let file = "[[file]]\nname = \"c\"\ntext = \"{prot}\"\n";
        let text = fault(&format!("name = \"x\"\n{rest}{file}"));
        assert!(text.contains("file `c`: `{prot}` is no placeholder; there are listen"), "{text}");
    }

    #[test]
    fn the_page_lists_every_placeholder() {
        let page = include_str!("../../README.md");
        for (name, _) in PLACEHOLDERS {
            assert!(page.contains(&format!("`{{{name}}}`")), "{name}");
        }
    }

    #[test]
    fn what_is_not_installed_has_a_reason() {
        let mut definition = built_in().unwrap().remove(0);
        definition.program = "no-such-server-anywhere".to_owned();
        let reason = definition.find().unwrap_err();
        assert_eq!(reason, "the program `no-such-server-anywhere` is not installed");
        definition.program = "sh".to_owned();
        assert!(definition.find().is_ok());
        definition.needs = vec![PathBuf::from("/no/such/module.so")];
        assert_eq!(definition.find().unwrap_err(), "/no/such/module.so is not installed");
    }
}
