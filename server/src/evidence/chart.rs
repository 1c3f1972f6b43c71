//! Bar charts as SVG text.
//!
//! Colours and fonts come from the style of the page, so that the charts follow light and dark. The
//! figures stand beside the bars and again in the tables: a chart is never the only place.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::html::escape;

/// Bars of a chart; the rest is one bar more.
const BARS_MAX: usize = 8;

/// Characters of a label.
const LABEL_MAX: usize = 45;

/// A bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: u64,
}

/// Adds values of one label up; the largest first, small ones together.
pub(super) fn sum<'a>(values: impl Iterator<Item = (&'a str, u64)>) -> Vec<Bar> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (label, value) in values {
        let sum = sums.entry(label).or_default();
        *sum = sum.saturating_add(value);
    }
    let bar = |(label, value): (&str, u64)| Bar { label: label.to_owned(), value };
    let mut bars: Vec<Bar> = sums.into_iter().map(bar).collect();
    // Equal ones stay in the order of their labels.
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.value));
    if bars.len() > BARS_MAX {
        let rest = bars.split_off(BARS_MAX - 1);
        let value = rest.iter().fold(0_u64, |sum, bar| sum.saturating_add(bar.value));
        bars.push(Bar { label: format!("{} others", rest.len()), value });
    }
    bars
}

/// Horizontal bars with label and figure.
pub(super) fn bars(title: &str, bars: &[Bar], bad: bool) -> String {
    const WIDTH: u64 = 640;
    const ROW: u64 = 26;
    const LEFT: u64 = 355;
    const LONGEST: u64 = 215;
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let height = ROW * bars.len() as u64;
    let words: Vec<String> =
        bars.iter().map(|bar| format!("{} {}", bar.label, bar.value)).collect();
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}: {}\">\n",
        escape(title),
        escape(&words.join(", "))
    );
    let class = if bad { "bad" } else { "bar" };
    for (at, bar) in (0_u64..).zip(bars) {
        let top = at * ROW;
        // At least a line, so that one among a million is seen.
        let length = u128::from(bar.value) * u128::from(LONGEST) / u128::from(most);
        let length = length.max(u128::from(bar.value > 0) * 2);
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect class=\"track\" x=\"{LEFT}\" y=\"{}\" width=\"{LONGEST}\" height=\"16\"/>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{}\" width=\"{length}\" height=\"16\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            LEFT - 10,
            top + 17,
            escape(&short(&bar.label)),
            top + 5,
            top + 5,
            LEFT + LONGEST + 8,
            top + 17,
            bar.value,
        );
    }
    out + "</svg>\n"
}

fn short(label: &str) -> String {
    if label.chars().count() <= LABEL_MAX {
        return label.to_owned();
    }
    label.chars().take(LABEL_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{Bar, bars, sum};

    #[test]
    fn equal_labels_are_one_bar_and_many_labels_end_in_others() {
        let summed = sum([("a", 1), ("b", 5), ("a", 2)].into_iter());
        assert_eq!(
            summed,
            [Bar { label: "b".into(), value: 5 }, Bar { label: "a".into(), value: 3 }]
        );
        let labels: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        let many = sum(labels.iter().map(|label| (label.as_str(), 1)));
        assert_eq!(many.len(), 8);
        assert_eq!(many[7], Bar { label: "13 others".into(), value: 13 });
    }

    #[test]
    fn the_longest_bar_fills_the_track_and_the_smallest_is_seen() {
        let chart =
            [Bar { label: "a<b".into(), value: u64::MAX }, Bar { label: "c".into(), value: 1 }];
        let svg = bars("t", &chart, false);
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
        assert!(svg.contains("class=\"bar\" x=\"355\" y=\"5\" width=\"215\""), "{svg}");
        assert!(svg.contains("class=\"bar\" x=\"355\" y=\"31\" width=\"2\""), "{svg}");
    }
}
