//! Typed access to the values of a TOML table that reports every fault instead of stopping.
//!
//! A method that finds something wrong notes it in the [`Source`] and returns `None`; the caller
//! goes on with the default. Nothing built from such values leaves this module's parent, since a
//! single error turns the whole result into the list of faults.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Source;
use super::keys;

/// A value with its full name.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    source: &'a Source<'a>,
    value: &'a Spanned<DeValue<'a>>,
    pub(super) key: String,
}

/// One word a setting accepts: written form and meaning.
pub(super) type Word<T> = (&'static str, T);

impl<'a> Node<'a> {
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// The same value under another name, for the faults that follow.
    pub(super) fn renamed(&self, key: String) -> Self {
        Self { key, ..self.clone() }
    }

    /// Notes that this value is wrong.
    pub(super) fn error(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.source.error(&self.span(), &self.key, what.into(), remedy.into());
    }

    /// Notes what the operator should know of this value.
    pub(super) fn warning(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.source.warning(&self.span(), &self.key, what.into(), remedy.into());
    }

    /// Notes that this value has a meaning that this version does not implement.
    pub(super) fn not_in_this_version(&self, what: &str, remedy: &str) {
        self.error(format!("{what} is not in this version"), remedy);
    }

    fn wrong_type(&self, wanted: &str) {
        let found = match self.value() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a floating-point number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("{found} where {wanted} is expected"), format!("write {wanted}"));
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value() {
            DeValue::String(text) => Some(text),
            _ => {
                self.wrong_type("text in quotes");
                None
            }
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value() {
            DeValue::Boolean(value) => Some(*value),
            _ => {
                self.wrong_type("true or false");
                None
            }
        }
    }

    pub(super) fn integer(&self, range: RangeInclusive<usize>) -> Option<usize> {
        let DeValue::Integer(integer) = self.value() else {
            self.wrong_type("an integer");
            return None;
        };
        let found = usize::from_str_radix(integer.as_str(), integer.radix()).ok();
        let inside = found.filter(|value| range.contains(value));
        if inside.is_none() {
            let (low, high) = (range.start(), range.end());
            self.error(
                format!("{integer} is out of range"),
                format!("write a whole number from {low} to {high}"),
            );
        }
        inside
    }

    pub(super) fn byte(&self) -> Option<u8> {
        self.integer(0..=usize::from(u8::MAX)).and_then(|value| u8::try_from(value).ok())
    }

    /// A duration as text: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let DeValue::String(text) = self.value() else {
            self.wrong_type("a duration such as \"10s\"");
            return None;
        };
        let Some(duration) = parse_duration(text) else {
            self.error(
                format!("\"{}\" is not a duration", text.escape_default()),
                "write a whole number and a unit: \"500ms\", \"10s\", \"5m\", \"1h\" or \"7d\"",
            );
            return None;
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let (low, high) = (show_duration(*range.start()), show_duration(*range.end()));
        self.error(format!("{text} is out of range"), format!("write {low} to {high}"));
        None
    }

    /// One of the words this setting accepts; `later` lists words of later versions.
    pub(super) fn word<T: Copy>(&self, words: &[Word<T>], later: &[&str]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let allowed = list(words.iter().map(|(word, _)| *word));
        if later.contains(&text) {
            self.not_in_this_version(&format!("\"{text}\""), &format!("write {allowed}"));
            return None;
        }
        let hint = keys::nearest(text, words.iter().map(|(word, _)| *word))
            .map(|word| format!("; did you mean \"{word}\"?"))
            .unwrap_or_default();
        self.error(
            format!("\"{}\" is not a word this setting knows{hint}", text.escape_default()),
            format!("write {allowed}"),
        );
        None
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Option<Vec<Node<'a>>> {
        let DeValue::Array(array) = self.value() else {
            self.wrong_type("a list in square brackets");
            return None;
        };
        let elements =
            array.iter().map(|value| Node { source: self.source, value, key: self.key.clone() });
        Some(elements.collect())
    }

    /// The elements of a list, or the single value as a list of one.
    pub(super) fn one_or_more(&self) -> Option<Vec<Node<'a>>> {
        match self.value() {
            DeValue::Array(_) => self.elements(),
            _ => Some(vec![self.clone()]),
        }
    }

    /// This value as the table `name` of [`keys::KEYS`]; reports keys that are not known.
    pub(super) fn table(&self, name: &'static str) -> Option<Table<'a>> {
        let DeValue::Table(table) = self.value() else {
            self.wrong_type("a table");
            return None;
        };
        let key = self.key.clone();
        Some(Table::new(self.source, table, name, key, self.span()))
    }
}

/// A table whose keys are known.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) source: &'a Source<'a>,
    table: &'a DeTable<'a>,
    name: &'static str,
    prefix: String,
    span: Range<usize>,
}

impl<'a> Table<'a> {
    /// `name` is the table's name in [`keys::KEYS`], `prefix` what faults call it.
    pub(super) fn new(
        source: &'a Source<'a>,
        table: &'a DeTable<'a>,
        name: &'static str,
        prefix: String,
        span: Range<usize>,
    ) -> Self {
        let table = Self { source, table, name, prefix, span };
        table.report_unknown();
        table
    }

    /// Where the table begins.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn report_unknown(&self) {
        for key in self.table.keys() {
            let (name, span) = (key.get_ref().as_ref(), key.span());
            match keys::of_table(self.name).find(|known| known.name == name) {
                Some(known) if known.default == keys::LATER => self.source.error(
                    &span,
                    &self.full(name),
                    "this key is not in this version".to_owned(),
                    "remove it: it would not be obeyed".to_owned(),
                ),
                Some(_) => {}
                None => self.report_unknown_key(name, &span),
            }
        }
    }

    fn report_unknown_key(&self, name: &str, span: &Range<usize>) {
        let known = || {
            keys::of_table(self.name).filter(|key| key.default != keys::LATER).map(|key| key.name)
        };
        let what = match keys::nearest(name, known()) {
            Some(near) => format!("unknown key; did you mean `{near}`?"),
            None => "unknown key".to_owned(),
        };
        let elsewhere = keys::KEYS.iter().find(|key| key.name == name && key.table != self.name);
        let remedy = match elsewhere {
            Some(key) if !key.table.is_empty() => {
                format!("`{name}` is a key of [{}]; here: {}", key.table, list_keys(known()))
            }
            _ => format!("keys known here: {}", list_keys(known())),
        };
        self.source.error(span, &self.full(&name.escape_default().to_string()), what, remedy);
    }

    /// A value, if given.
    pub(super) fn get(&self, name: &'static str) -> Option<Node<'a>> {
        debug_assert!(
            keys::of_table(self.name).any(|key| key.name == name),
            "{name} is missing in the table of keys"
        );
        let value = self.table.get(name)?;
        Some(Node { source: self.source, value, key: self.full(name) })
    }

    /// A value that must be given.
    pub(super) fn require(&self, name: &'static str, remedy: &str) -> Option<Node<'a>> {
        let node = self.get(name);
        if node.is_none() {
            self.source.error(
                &self.span,
                &self.full(name),
                "this key is missing".to_owned(),
                remedy.to_owned(),
            );
        }
        node
    }
}

/// `"a", "b" or "c"`.
fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn list_keys<'w>(names: impl Iterator<Item = &'w str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Milliseconds per unit, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// `500ms`, `10s`, `5m`, `1h` or `7d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).map(Duration::from_millis)
}

fn show_duration(duration: Duration) -> String {
    let total = duration.as_millis();
    let (unit, factor) = UNITS
        .iter()
        .find(|(_, factor)| {
            total >= u128::from(*factor) && total.is_multiple_of(u128::from(*factor))
        })
        .unwrap_or(&("s", 1000));
    format!("\"{}{unit}\"", total / u128::from(*factor))
}

#[cfg(test)]
mod tests {
    use super::{Duration, list, parse_duration, show_duration};

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "s", "10", "1.5s", "-1s", "10 s", "99999999999999999999s", "10sec"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(parse_duration(&format!("{}d", u64::MAX)), None);
    }

    #[test]
    fn durations_are_shown_in_their_largest_unit() {
        assert_eq!(show_duration(Duration::from_secs(300)), "\"5m\"");
        assert_eq!(show_duration(Duration::from_millis(1500)), "\"1500ms\"");
        assert_eq!(show_duration(Duration::ZERO), "\"0s\"");
    }

    #[test]
    fn allowed_words_read_as_a_sentence() {
        assert_eq!(list(["a"].into_iter()), "\"a\"");
        assert_eq!(list(["a", "b", "c"].into_iter()), "\"a\", \"b\" or \"c\"");
    }
}
