//! Pictures: bars, as SVG text.
//!
//! Invariants: a white ground, so that a picture is readable on dark pages too; no font of the
//! machine is asked for, so the same figures make the same file everywhere; every bar says its
//! value in digits.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Figure;
use crate::Failure;

const WIDTH: i32 = 940;
/// Where the bars begin: left of it stand the names.
const LEFT: i32 = 270;
/// Where the longest bar ends: right of it its value has room.
const RIGHT: i32 = WIDTH - 130;
const ROW: i32 = 24;
const BAR: i32 = 15;
/// Height of title and legend.
const TOP: i32 = 74;
/// Height of axis and its name.
const BOTTOM: i32 = 52;

/// Colours of the parts of a bar: told apart by people who see few colours, and in print.
const PARTS: [RGBColor; 4] = [
    RGBColor(31, 84, 148),
    RGBColor(125, 176, 224),
    RGBColor(74, 128, 186),
    RGBColor(232, 155, 46),
];
const INK: RGBColor = RGBColor(30, 30, 30);
const FAINT: RGBColor = RGBColor(214, 214, 214);

/// A bar made of parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Name of the bar.
    pub label: String,
    /// Lengths of its parts.
    pub parts: Vec<f64>,
    /// What is written behind it: a median of sums is not quite the sum of medians.
    pub total: f64,
}

/// A bar of one value with the range of its rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioBar {
    /// Name of the bar.
    pub label: String,
    /// Its length, and the whisker.
    pub figure: Figure,
}

/// Horizontal bars, each of the parts named in `parts`.
///
/// # Errors
/// Nothing to draw, or drawing fails.
pub fn stacked(title: &str, unit: &str, parts: &[&str], bars: &[Bar]) -> Result<String, Failure> {
    let total = |bar: &Bar| bar.parts.iter().sum::<f64>();
    let longest = bars.iter().map(total).fold(0.0, f64::max);
    let mut svg = String::new();
    {
        let frame = Frame::new(&mut svg, title, unit, bars.len(), Scale::from_zero(longest))?;
        let is_used = |part: usize| bars.iter().any(|bar| bar.parts.get(part) > Some(&0.0));
        frame.legend(parts, &is_used)?;
        for (row, bar) in bars.iter().enumerate() {
            let mut begin = 0.0;
            for (length, colour) in bar.parts.iter().zip(PARTS) {
                frame.bar(row, begin, begin + length, colour)?;
                begin += length;
            }
            frame.label(row, &bar.label)?;
            frame.value(row, begin, &digits(bar.total))?;
        }
        frame.area.present()?;
    }
    Ok(svg)
}

/// Horizontal bars of ratios away from a line at one, each with the range of its rounds. The scale
/// is that of doublings, on which twice and half are equally far away.
///
/// # Errors
/// Nothing to draw, or drawing fails.
pub fn ratios(title: &str, axis: &str, bars: &[RatioBar]) -> Result<String, Failure> {
    let least = bars.iter().map(|bar| bar.figure.min).fold(1.0, f64::min);
    let most = bars.iter().map(|bar| bar.figure.max).fold(1.0, f64::max);
    let mut svg = String::new();
    {
        let scale = Scale::doublings(least, most);
        let frame = Frame::new(&mut svg, title, axis, bars.len(), scale)?;
        for (row, RatioBar { label, figure }) in bars.iter().enumerate() {
            frame.bar(row, figure.median.min(1.0), figure.median.max(1.0), PARTS[1])?;
            frame.whisker(row, figure.min, figure.max)?;
            frame.label(row, label)?;
            frame.value(row, figure.max.max(1.0), &format!("{:.2}", figure.median))?;
        }
        frame.line(1.0, INK)?;
        frame.area.present()?;
    }
    Ok(svg)
}

/// Three digits that matter, and whole numbers from a hundred on.
fn digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// From values to places between left and right.
struct Scale {
    begin: f64,
    end: f64,
    is_of_doublings: bool,
    marks: Vec<(f64, String)>,
}

impl Scale {
    fn from_zero(longest: f64) -> Self {
        if !(longest.is_finite() && longest > 0.0) {
            return Self { begin: 0.0, end: 0.0, is_of_doublings: false, marks: Vec::new() };
        }
        let step = step(longest);
        let mut marks = Vec::new();
        let mut mark = 0.0;
        // Sums of tenths are not exact.
        while marks.is_empty() || mark < longest + step * 0.999 {
            let text = if step >= 1.0 { format!("{mark:.0}") } else { format!("{mark:.1}") };
            marks.push((mark, text));
            mark += step;
        }
        let end = marks.last().map_or(longest, |(mark, _)| *mark);
        Self { begin: 0.0, end, is_of_doublings: false, marks }
    }

    fn doublings(least: f64, most: f64) -> Self {
        let mut marks = Vec::new();
        let (begin, end) = (least.log2().floor().min(-1.0), most.log2().ceil().max(1.0));
        let mut mark = begin;
        // Of nothing there is no doubling.
        while mark <= end && begin.is_finite() {
            let value = mark.exp2();
            marks.push((value, format!("{value}")));
            mark += 1.0;
        }
        Self { begin, end, is_of_doublings: true, marks }
    }

    fn is_empty(&self) -> bool {
        let ends = [self.begin, self.end];
        ends.iter().any(|end| !end.is_finite()) || self.begin >= self.end
    }

    /// Part of the way from left to right.
    fn at(&self, value: f64) -> f64 {
        let value = if self.is_of_doublings { value.log2() } else { value };
        (value - self.begin) / (self.end - self.begin)
    }
}

/// Title, grid and scale of a picture.
struct Frame<'a> {
    area: Area<'a>,
    scale: Scale,
    rows: i32,
}

impl<'a> Frame<'a> {
    fn new(
        svg: &'a mut String,
        title: &str,
        axis: &str,
        rows: usize,
        scale: Scale,
    ) -> Result<Self, Failure> {
        if rows == 0 || scale.is_empty() {
            return Err(format!("nothing to draw for the picture `{title}`").into());
        }
        let rows = i32::try_from(rows)?;
        let height = TOP + rows * ROW + BOTTOM;
        let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
        let area = SVGBackend::with_string(svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let frame = Self { area, scale, rows };
        frame.text((16, 26), title, 18, HPos::Left)?;
        for (mark, text) in &frame.scale.marks {
            frame.line(*mark, FAINT)?;
            frame.text((frame.x(*mark), frame.floor() + 14), text, 12, HPos::Center)?;
        }
        frame.text(((LEFT + RIGHT) / 2, frame.floor() + 36), axis, 13, HPos::Center)?;
        Ok(frame)
    }

    fn floor(&self) -> i32 {
        TOP + self.rows * ROW
    }

    #[allow(clippy::cast_possible_truncation, reason = "a picture is less than a thousand wide")]
    fn x(&self, value: f64) -> i32 {
        LEFT + (f64::from(RIGHT - LEFT) * self.scale.at(value)).round() as i32
    }

    fn middle(row: usize) -> i32 {
        TOP + i32::try_from(row).unwrap_or(i32::MAX / ROW / 2) * ROW + ROW / 2
    }

    fn bar(&self, row: usize, begin: f64, end: f64, colour: RGBColor) -> Result<(), Failure> {
        let y = Self::middle(row);
        let corners = [(self.x(begin), y - BAR / 2), (self.x(end), y + BAR / 2)];
        Ok(self.area.draw(&Rectangle::new(corners, colour.filled()))?)
    }

    fn whisker(&self, row: usize, from: f64, to: f64) -> Result<(), Failure> {
        let y = Self::middle(row);
        let (from, to) = (self.x(from), self.x(to));
        for ends in
            [[(from, y), (to, y)], [(from, y - 4), (from, y + 4)], [(to, y - 4), (to, y + 4)]]
        {
            self.area.draw(&PathElement::new(ends, INK.stroke_width(1)))?;
        }
        Ok(())
    }

    fn line(&self, at: f64, colour: RGBColor) -> Result<(), Failure> {
        let ends = [(self.x(at), TOP), (self.x(at), self.floor())];
        Ok(self.area.draw(&PathElement::new(ends, colour.stroke_width(1)))?)
    }

    fn label(&self, row: usize, text: &str) -> Result<(), Failure> {
        self.text((LEFT - 8, Self::middle(row)), text, 13, HPos::Right)
    }

    fn value(&self, row: usize, end: f64, text: &str) -> Result<(), Failure> {
        self.text((self.x(end) + 6, Self::middle(row)), text, 12, HPos::Left)
    }

    /// Of the parts that any bar has.
    fn legend(&self, parts: &[&str], is_used: &dyn Fn(usize) -> bool) -> Result<(), Failure> {
        let mut x = LEFT;
        for (part, (name, colour)) in parts.iter().zip(PARTS).enumerate() {
            if !is_used(part) {
                continue;
            }
            let corners = [(x, 44), (x + 13, 57)];
            self.area.draw(&Rectangle::new(corners, colour.filled()))?;
            self.text((x + 19, 51), name, 13, HPos::Left)?;
            x += 40 + 8 * i32::try_from(name.chars().count())?;
        }
        Ok(())
    }

    fn text(&self, at: (i32, i32), text: &str, size: i32, to: HPos) -> Result<(), Failure> {
        let style = ("sans-serif", size).into_text_style(&self.area).color(&INK);
        let style = style.pos(Pos::new(to, VPos::Center));
        Ok(self.area.draw(&Text::new(text.to_owned(), at, style))?)
    }
}

/// Distance of marks: 1, 2 or 5 times a power of ten, at most ten of them.
fn step(longest: f64) -> f64 {
    let mut step = 10_f64.powf((longest / 10.0).log10().floor());
    for factor in [2.0, 2.5, 2.0] {
        if longest / step <= 10.0 {
            break;
        }
        step *= factor;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_and_few() {
        for (longest, expected) in
            [(1.0, 0.1), (1.7, 0.2), (3.0, 0.5), (940.0, 100.0), (1100.0, 200.0)]
        {
            let step = step(longest);
            assert!((step - expected).abs() < 1e-9, "{longest}: {step}");
        }
    }

    #[test]
    fn every_bar_has_its_name_and_value() {
        let bars = [
            Bar { label: "with a card".to_owned(), parts: vec![200.0, 50.0, 600.0], total: 851.0 },
            Bar { label: "without <any>".to_owned(), parts: vec![800.0, 45.0, 0.0], total: 845.0 },
        ];
        let svg = stacked("Cost", "µs", &["user", "system", "card"], &bars).unwrap();
        for text in
            ["with a card", "without &lt;any&gt;", "851", "845", "user", "system", "card", "µs"]
        {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        let unused = stacked("Cost", "µs", &["user", "system", "card"], &bars[1..]).unwrap();
        assert!(!unused.contains("card"), "no bar has this part");
        assert!(stacked("Cost", "µs", &[], &[]).is_err());
        let none = Bar { label: "none".to_owned(), parts: vec![0.0, 0.0], total: 0.0 };
        assert!(stacked("Cost", "µs", &["a", "b"], &[none]).is_err());
    }

    #[test]
    fn twice_and_half_are_equally_far_from_one() {
        let scale = Scale::doublings(0.3, 3.0);
        let texts: Vec<&str> = scale.marks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["0.25", "0.5", "1", "2", "4"]);
        let [half, one, twice] = [0.5, 1.0, 2.0].map(|value| scale.at(value));
        assert!((twice - one - (one - half)).abs() < 1e-12 && (one - 0.5).abs() < 1e-12);
        assert!(Scale::doublings(0.0, 1.0).is_empty(), "a ratio of nothing has no place");
    }

    #[test]
    fn a_ratio_has_a_whisker_and_the_line_at_one() {
        let figure = Figure::of(&[0.7, 0.71, 0.69]).unwrap();
        let bar = RatioBar { label: "CEX8A".to_owned(), figure };
        let svg = ratios("Ratios", "times the base", &[bar]).unwrap();
        assert!(svg.contains("0.70") && svg.contains("CEX8A"));
    }
}
