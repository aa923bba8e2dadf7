//! What was measured, as tables and as JSON.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{machine::Machine, quantity::Quantity, sample::Sample};

/// All that one run measured.
#[derive(Serialize)]
pub struct Report {
    /// Where it was measured, and with what.
    pub machine: Machine,
    /// The benchmarks that ran.
    pub sections: Vec<Section>,
}

impl Report {
    /// A report without any figures yet.
    pub const fn new(machine: Machine) -> Self {
        Self {
            machine,
            sections: Vec::new(),
        }
    }

    /// Whether every promise was measured and kept.
    pub fn all_kept(&self) -> bool {
        let [_, missed, unmeasured] = self.counts();
        missed + unmeasured == 0
    }

    /// One sentence on the promises.
    pub fn summary(&self) -> String {
        let [kept, missed, unmeasured] = self.counts();
        format!("{kept} promises kept, {missed} missed, {unmeasured} not measured.")
    }

    fn counts(&self) -> [usize; 3] {
        let count = |verdict| {
            self.sections
                .iter()
                .flat_map(|section| &section.figures)
                .filter(|figure| figure.verdict() == Some(verdict))
                .count()
        };
        let failed = self
            .sections
            .iter()
            .filter(|section| section.error.is_some());
        [
            count(Verdict::Kept),
            count(Verdict::Missed),
            count(Verdict::NotMeasured) + failed.count(),
        ]
    }
}

/// The figures of one benchmark.
#[derive(Serialize)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// What a reader must know to judge them.
    pub notes: Vec<String>,
    /// Why it could not be measured.
    pub error: Option<String>,
}

impl Section {
    /// A section without any figures yet.
    pub const fn new(title: &'static str) -> Self {
        Self {
            title,
            figures: Vec::new(),
            notes: Vec::new(),
            error: None,
        }
    }

    /// A benchmark that could not be measured.
    pub fn failed(title: &'static str, error: &anyhow::Error) -> Self {
        Self {
            error: Some(format!("{error:#}")),
            ..Self::new(title)
        }
    }
}

/// One figure, against one rival or alone.
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// Ours; none when it could not be measured.
    pub ours: Option<Quantity>,
    /// The rival's name and figure; none where a figure stands alone.
    pub rival: Option<Rival>,
    /// How many times as good as the rival the best of all rounds is.
    pub ratio_of_best: Option<f64>,
    /// What is promised.
    pub promise: Option<Promise>,
}

/// What a figure is compared with.
#[derive(Serialize)]
pub struct Rival {
    /// Who it is.
    pub name: String,
    /// Its figure; none when it could not be measured.
    pub figure: Option<Quantity>,
}

/// What is promised of a figure.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// At least this many times as good as the rival.
    RatioAtLeast(f64),
    /// Ours is at most this much.
    AtMost(Quantity),
}

/// What became of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds in this run.
    Kept,
    /// It does not hold in this run.
    Missed,
    /// It could not be measured.
    NotMeasured,
}

impl Figure {
    /// A figure that stands alone.
    pub fn alone(what: impl Into<String>, ours: Quantity) -> Self {
        Self {
            what: what.into(),
            ours: Some(ours),
            rival: None,
            ratio_of_best: None,
            promise: None,
        }
    }

    /// The medians of ours and of the rival `name`, if it was measured, and the ratio of the best.
    pub fn of_samples(
        what: impl Into<String>,
        unit: fn(f64) -> Quantity,
        ours: &Sample,
        name: impl Into<String>,
        theirs: Option<&Sample>,
    ) -> Self {
        match theirs {
            Some(theirs) => Self::against(what, ours.median(unit), name, theirs.median(unit))
                .best(ours.best(unit), theirs.best(unit)),
            None => Self::without_rival(what, ours.median(unit), name),
        }
    }

    /// A figure against the rival `name`.
    pub fn against(
        what: impl Into<String>,
        ours: Quantity,
        name: impl Into<String>,
        theirs: Quantity,
    ) -> Self {
        Self {
            rival: Some(Rival {
                name: name.into(),
                figure: Some(theirs),
            }),
            ..Self::alone(what, ours)
        }
    }

    /// A figure whose rival could not be measured.
    pub fn without_rival(what: impl Into<String>, ours: Quantity, name: impl Into<String>) -> Self {
        Self {
            rival: Some(Rival {
                name: name.into(),
                figure: None,
            }),
            ..Self::alone(what, ours)
        }
    }

    /// Adds the ratio of the best rounds.
    pub fn best(mut self, ours: Quantity, theirs: Quantity) -> Self {
        self.ratio_of_best = Some(ours.times_as_good_as(theirs));
        self
    }

    /// Adds a promise.
    pub const fn promised(mut self, promise: Promise) -> Self {
        self.promise = Some(promise);
        self
    }

    /// How many times as good as the rival.
    pub fn ratio(&self) -> Option<f64> {
        let theirs = self.rival.as_ref()?.figure?;
        Some(self.ours?.times_as_good_as(theirs))
    }

    /// What became of the promise, if there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        let kept = match self.promise? {
            Promise::RatioAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
            Promise::AtMost(most) => self.ours.map(|ours| ours.times_as_good_as(most) >= 1.0),
        };
        Some(match kept {
            Some(true) => Verdict::Kept,
            Some(false) => Verdict::Missed,
            None => Verdict::NotMeasured,
        })
    }

    fn cells(&self) -> [String; COLUMNS] {
        let quantity = |quantity: Option<Quantity>| match quantity {
            Some(quantity) => quantity.to_string(),
            None => "-".into(),
        };
        let ratio = |ratio: Option<f64>| match ratio {
            Some(ratio) => format!("{ratio:.2}"),
            None => String::new(),
        };
        [
            self.what.clone(),
            quantity(self.ours),
            self.rival
                .as_ref()
                .map_or_else(String::new, |rival| quantity(rival.figure)),
            ratio(self.ratio()),
            ratio(self.ratio_of_best),
            match self.promise {
                Some(Promise::RatioAtLeast(least)) => format!("{least:.2}"),
                Some(Promise::AtMost(most)) => format!("max {most}"),
                None => String::new(),
            },
            match self.verdict() {
                Some(Verdict::Kept) => "kept",
                Some(Verdict::Missed) => "MISSED",
                Some(Verdict::NotMeasured) => "not measured",
                None => "",
            }
            .into(),
            self.rival
                .as_ref()
                .map_or_else(String::new, |rival| rival.name.clone()),
        ]
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Figure", 7)?;
        fields.serialize_field("what", &self.what)?;
        fields.serialize_field("ours", &self.ours)?;
        fields.serialize_field("rival", &self.rival)?;
        fields.serialize_field("ratio", &self.ratio())?;
        fields.serialize_field("ratio_of_best", &self.ratio_of_best)?;
        fields.serialize_field("promise", &self.promise)?;
        fields.serialize_field("verdict", &self.verdict())?;
        fields.end()
    }
}

const COLUMNS: usize = 8;

const HEADINGS: [&str; COLUMNS] = [
    "", "ours", "rival's", "ratio", "of best", "promised", "", "rival",
];

impl fmt::Display for Section {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\n{}", self.title)?;
        if let Some(error) = &self.error {
            return writeln!(formatter, "  not measured: {error}");
        }
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.figures.iter().map(Figure::cells));
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        });
        for row in rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                // Texts to the left, figures to the right.
                line += &if matches!(column, 0 | 6 | 7) {
                    format!("  {cell:<width$}")
                } else {
                    format!("  {cell:>width$}")
                };
            }
            writeln!(formatter, "{}", line.trim_end())?;
        }
        for note in &self.notes {
            writeln!(formatter, "  * {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(ours: f64, theirs: f64) -> Figure {
        Figure::against(
            "start-up",
            Quantity::Seconds(ours),
            "other",
            Quantity::Seconds(theirs),
        )
        .promised(Promise::RatioAtLeast(1.0))
    }

    #[test]
    fn a_promise_is_kept_missed_or_not_measured() {
        assert_eq!(seconds(1.0, 2.0).verdict(), Some(Verdict::Kept));
        assert_eq!(seconds(1.0, 1.0).verdict(), Some(Verdict::Kept));
        assert_eq!(seconds(2.0, 1.0).verdict(), Some(Verdict::Missed));
        let absent = Figure::without_rival("start-up", Quantity::Seconds(1.0), "other")
            .promised(Promise::RatioAtLeast(1.0));
        assert_eq!(absent.verdict(), Some(Verdict::NotMeasured));
        let memory = Figure::alone("memory", Quantity::Bytes(3.0));
        assert_eq!(memory.verdict(), None);
        let memory = memory.promised(Promise::AtMost(Quantity::Bytes(2.0)));
        assert_eq!(memory.verdict(), Some(Verdict::Missed));
    }

    #[test]
    fn json_has_the_ratio_and_the_verdict() {
        let json = serde_json::to_value(seconds(1.0, 2.0)).unwrap();
        assert_eq!(json["ratio"], 2.0);
        assert_eq!(json["verdict"], "kept");
        assert_eq!(json["ours"]["seconds"], 1.0);
    }

    #[test]
    fn the_table_names_what_was_missed() {
        let mut section = Section::new("Start-up");
        section.figures = vec![seconds(1.0, 2.0), seconds(2.0, 1.0)];
        let table = section.to_string();
        assert!(
            table.contains("kept") && table.contains("MISSED"),
            "{table}"
        );
        assert!(table.contains("2.00") && table.contains("0.50"), "{table}");
    }
}
